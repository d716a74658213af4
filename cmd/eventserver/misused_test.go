package main

import (
	"errors"
	"fmt"
	"testing"

	"eventserver/app/admin"
	"eventserver/router/explain"
)

// Exit code 2 is for the command line, also when it is the server that cannot mean it.
func TestMisused(t *testing.T) {
	for want, errs := range map[bool][]error{
		true: {usageError{errors.New("x")}, &admin.Error{Status: 400}, fmt.Errorf("y: %w", &admin.Error{Status: 422}), admin.Invalid("x"),
			fmt.Errorf("an event without an id %w", explain.ErrBadQuestion)},
		false: {errors.New("x"), &admin.Error{Status: 404}, &admin.Error{Status: 409}, admin.Conflict("x"), admin.NotFound("x"), admin.ErrNoServer},
	} {
		for _, err := range errs {
			if got := misused(err); got != want {
				t.Errorf("%v: %t", err, got)
			}
		}
	}
}
