package app_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"eventserver/app"
	"eventserver/destinations"
)

// A destination that was removed with undelivered events says how many, holds them
// until it is forgotten, and is a new one after that.
func TestForget(t *testing.T) {
	for name, broker := range brokers(t) {
		t.Run(name, func(t *testing.T) {
			const gone = "  - {id: gone, kind: echo, retry: {initial: 1h, max: 1h}}\n"
			r := startReloading(t, broker, fromHead+gone)
			var well atomic.Bool
			r.probes["gone"].fail = func(destinations.Delivery) error {
				if well.Load() {
					return nil
				}
				return destinations.Unavailable(errors.New("answer 503"))
			}
			r.post(0, 12)
			r.probes["steady"].await(t, 12)
			if _, err := r.app.PlanForget(t.Context(), "gone"); !errors.Is(err, app.ErrConfigured) {
				t.Errorf("it is configured: %v", err)
			}
			var unknown *app.UnknownDestinationError
			if _, err := r.app.PlanForget(t.Context(), "nobody"); !errors.As(err, &unknown) {
				t.Errorf("there is none: %v", err)
			}
			c, err := r.reload(fromHead)
			if err != nil || c.Undelivered["gone"] != 12 || len(c.Removed) != 1 {
				t.Fatalf("%+v, %v", c, err)
			}
			if all, err := r.app.Leftovers(t.Context()); err != nil || len(all) != 1 || all[0].ID != "gone" || all[0].Undelivered != 12 {
				t.Fatalf("%+v, %v", all, err)
			}
			if _, err := r.app.Forget(t.Context(), "gone", false, "ada", 13); !errors.Is(err, app.ErrForgetChanged) {
				t.Errorf("with another number: %v", err)
			}
			if l, err := r.app.Forget(t.Context(), "gone", true, "ada", 12); err != nil || l.Undelivered != 12 {
				t.Fatalf("%+v, %v", l, err)
			}
			if all, err := r.app.Leftovers(t.Context()); err != nil || len(all) != 0 {
				t.Fatalf("%+v, %v", all, err)
			}
			well.Store(true)
			if _, err := r.reload(fromHead + strings.Replace(gone, "kind: echo", "kind: echo, from: now", 1)); err != nil {
				t.Fatal(err)
			}
			r.post(12, 3)
			if got := numbers(r.probes["gone"].await(t, 3)); !sameSet(got, "12,13,14") {
				t.Errorf("it has %s, want what came after it was forgotten", got)
			}
		})
	}
}
