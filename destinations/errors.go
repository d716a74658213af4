package destinations

import (
	"context"
	"errors"
	"time"
)

// ErrSkip tells the router that the destination does not want this event.
// From Transform the event is filtered out; from Deliver it counts as done.
var ErrSkip = errors.New("destination skips this event")

// PermanentError is a failure that no retry can mend: the delivery goes to the
// poison queue at once.
type PermanentError struct{ Err error }

func (e *PermanentError) Error() string { return e.Err.Error() }
func (e *PermanentError) Unwrap() error { return e.Err }

// Permanent wraps err as a failure that no retry can mend. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &PermanentError{Err: err}
}

// RetryAfterError asks for the next attempt after Wait from now, and not sooner: it
// is made then, whatever the backoff would be.
type RetryAfterError struct {
	Err  error
	Wait time.Duration
	// AtLeast: the receiver named no time. The backoff goes on as without an
	// answer, and is no shorter than Wait.
	AtLeast bool
}

func (e *RetryAfterError) Error() string { return e.Err.Error() }
func (e *RetryAfterError) Unwrap() error { return e.Err }

// RetryAfter wraps err with the wait that the receiver asked for.
// RetryAfter(nil, wait) is nil.
func RetryAfter(err error, wait time.Duration) error {
	if err == nil {
		return nil
	}
	return &RetryAfterError{Err: err, Wait: wait}
}

// RetryAtLeast wraps err with a wait that the receiver did not ask for: the backoff
// is no shorter. RetryAtLeast(nil, wait) is nil.
func RetryAtLeast(err error, wait time.Duration) error {
	if err == nil {
		return nil
	}
	return &RetryAfterError{Err: err, Wait: wait, AtLeast: true}
}

// UnavailableError says that the destination, not this event, is at fault.
// The attempt is not counted against the event and the destination's breaker
// opens at once.
type UnavailableError struct{ Err error }

func (e *UnavailableError) Error() string { return e.Err.Error() }
func (e *UnavailableError) Unwrap() error { return e.Err }

// Unavailable wraps err as a fault of the destination. Unavailable(nil) is nil.
// It combines with RetryAfter: Unavailable(RetryAfter(err, wait)) pauses the
// destination for wait.
func Unavailable(err error) error {
	if err == nil {
		return nil
	}
	return &UnavailableError{Err: err}
}

// LoggedError is an error with words of its own for the log.
type LoggedError struct {
	Err   error
	Words string
}

func (e *LoggedError) Error() string { return e.Err.Error() }
func (e *LoggedError) Unwrap() error { return e.Err }

// LogText is what a log has of the error.
func (e *LoggedError) LogText() string { return e.Words }

// Logged gives err the words that a log has of it. The text of err is kept in the
// poison queue, without the event's values; a log must have nothing of a
// receiver's answer either. An error without words of its own is logged by its
// text, in which values of the event's payload are masked. Logged(nil, words) is nil.
func Logged(err error, words string) error {
	if err == nil {
		return nil
	}
	return &LoggedError{Err: err, Words: words}
}

// StatusError tells what status an HTTP receiver answered with. It is for those
// who look on, such as traces: it decides nothing.
type StatusError struct {
	Err    error
	Status int
}

func (e *StatusError) Error() string { return e.Err.Error() }
func (e *StatusError) Unwrap() error { return e.Err }

// WithStatus wraps err with the status of the answer. WithStatus(nil, status) is nil.
func WithStatus(err error, status int) error {
	if err == nil {
		return nil
	}
	return &StatusError{Err: err, Status: status}
}

// Late is a context.DeadlineExceeded that says what took too long, and no more.
func Late(text string) error { return lateError(text) }

type lateError string

func (e lateError) Error() string { return string(e) }
func (lateError) Unwrap() error   { return context.DeadlineExceeded }
