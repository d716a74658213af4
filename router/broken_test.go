package router

import (
	"context"
	"errors"
	"testing"

	"eventserver/destinations"
	"eventserver/router/attempt"
	"eventserver/router/routertest"
)

// A check that its context ended says nothing of the event, which is not given up.
func TestCheckThatEndedGivesNothingUp(t *testing.T) {
	t.Parallel()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for name, ctx := range map[string]context.Context{"stopped": stopped, "running": t.Context()} {
		check := func(ctx context.Context, _ string, _ []byte) (string, error) {
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			return "", errors.New("is wrong")
		}
		for _, d := range []Destination{{Input: check}, {Output: check}} {
			d.Destination = &routertest.FuncDest{Name: "d"}
			_, err := d.Prepare(ctx, destinations.Event{ID: "e", Data: []byte(`{}`)})
			var given *attempt.GiveUp
			if gaveUp := errors.As(err, &given); gaveUp != (name == "running") || gaveUp == errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
