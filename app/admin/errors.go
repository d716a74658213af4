package admin

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"eventserver/router/explain"
	"eventserver/router/poison"
)

// refusal is the error of an area that says what the client is to be told. Those of
// explain and poison have kinds of their own.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// NotFound is the error of what is not there.
func NotFound(text string) error { return &refusal{http.StatusNotFound, text} }

// Invalid is the error of a request that cannot be meant.
func Invalid(text string) error { return &refusal{http.StatusBadRequest, text} }

// Conflict is the error of what cannot be done now.
func Conflict(text string) error { return &refusal{http.StatusConflict, text} }

// Unavailable is the error of what may be asked again, as while the broker is away.
func Unavailable(text string) error { return &refusal{http.StatusServiceUnavailable, text} }

// statusOf is the one place that says which status an error of an area has; 0: it is
// none of those that are told to the client as they are.
func statusOf(err error) int {
	var own *refusal
	switch {
	case errors.As(err, &own):
		return own.status
	case errors.Is(err, explain.ErrNotFound), errors.Is(err, poison.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, explain.ErrBadQuestion), errors.Is(err, poison.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, poison.ErrConflict):
		return http.StatusConflict
	}
	return 0
}

// IsInvalid reports whether a question or an order was refused because it cannot be
// meant, by a server or by what does without one.
func IsInvalid(err error) bool {
	status := statusOf(err)
	if answer := new(Error); errors.As(err, &answer) {
		status = answer.Status
	}
	return status == http.StatusBadRequest || status == http.StatusUnprocessableEntity
}

// register adds an operation to the API. Its errors are answered by their status.
func register[I, O any](api huma.API, op huma.Operation, do func(context.Context, *I) (*O, error)) {
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := do(ctx, in)
		if status := statusOf(err); status != 0 {
			err = huma.NewError(status, err.Error())
		}
		return out, err
	})
}
