package poison

import "errors"

// Kinds of refusals, for errors.Is. The text of the error says what to do.
var (
	ErrNotFound = errors.New("not found")
	ErrInvalid  = errors.New("invalid")     // the question or order cannot be meant
	ErrConflict = errors.New("in conflict") // it cannot be done now
)

// refusal is an error of one of these kinds, with a text of its own.
type refusal struct {
	kind error
	text string
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.kind }

func notFound(text string) error { return &refusal{ErrNotFound, text} }
func invalid(text string) error  { return &refusal{ErrInvalid, text} }
func conflict(text string) error { return &refusal{ErrConflict, text} }
