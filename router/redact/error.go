package redact

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"eventserver/infra"
	"eventserver/router/record"
)

// Error is an error of a destination about the messages of an attempt. Its texts are made
// when somebody asks for one: that goes through the whole payloads.
type Error struct {
	err error
	of  []*message.Message
}

// New makes an Error about messages.
func New(err error, of ...*message.Message) *Error { return &Error{err, of} }

func (t *Error) Error() string { return t.err.Error() }
func (t *Error) Unwrap() error { return t.err }

// LogText implements what Words asks for.
func (t *Error) LogText() string {
	return t.masked(Words(t.err))
}

func (t *Error) masked(text string) string {
	for _, m := range t.of {
		text = Masked(text, m.Payload, append(record.HeaderValues(m.Metadata), m.Metadata[infra.MetaKey])...)
	}
	return text
}

// BatchError is what each member of a batch that failed is told: nothing of any member is
// in it.
type BatchError struct{ each Error }

// NewBatch makes a BatchError of what the call of the batch met.
func NewBatch(err error, of ...*message.Message) *BatchError { return &BatchError{Error{err, of}} }

func (b *BatchError) Error() string { return b.each.masked(Detail(b.each.err, nil)) }
func (b *BatchError) Unwrap() error { return b.each.err }

// LogText implements what Words asks for.
func (b *BatchError) LogText() string { return b.Error() }

// Logged is an error's text for a log.
func Logged(err error) string { return Clean(Words(err)) }

// Words are what a log may have of an error: what it says of itself
// (destinations.Logged), of a panic what the runtime says or its type, and of
// any other error its text.
func Words(err error) string {
	var (
		panicked middleware.RecoveredPanicError
		loggable interface{ LogText() string }
	)
	switch {
	case errors.As(err, &panicked):
		if r, ok := panicked.V.(runtime.Error); ok {
			return "panic: " + r.Error()
		}
		return fmt.Sprintf("panic with a %T", panicked.V)
	case errors.As(err, &loggable):
		return loggable.LogText()
	}
	return err.Error()
}

// Detail is an error's text for the poison queue, about an event with that body
// and those headers: whoever may see the text need not see either. Of a panic it
// has the value alone: the stack names files of the machine.
func Detail(err error, body []byte, headers ...string) string {
	text := err.Error()
	var panicked middleware.RecoveredPanicError
	if errors.As(err, &panicked) {
		text = fmt.Sprintf("panic: %v", panicked.V)
	}
	return Clean(Masked(text, body, headers...))
}

// MaxDetail bounds the text kept with a poisoned delivery.
const MaxDetail = 1024

// Clean makes a text safe for a header and a terminal: one line, no control
// characters, valid UTF-8, bounded.
func Clean(s string) string {
	if len(s) > MaxDetail {
		s = s[:MaxDetail]
	}
	s = strings.ToValidUTF8(s, "?")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s))
}
