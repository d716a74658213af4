package app_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"eventserver/app"
	"eventserver/destinations"
)

// A receiver that asked for no more events for ten minutes, and one user's backoff
// of an hour: both end at every instance when an operator says so.
func TestRetryNow(t *testing.T) {
	for name, broker := range brokers(t) {
		if !strings.HasPrefix(name, "k") { // the others have one instance
			continue
		}
		t.Run(name, func(t *testing.T) {
			const text = reloadHead + "destinations:\n  - {id: d, kind: echo, retry: {initial: 1h, max: 1h, max_age: 24h}}\n"
			instance := func(id string) string {
				return strings.Replace(broker, "partitions", "instance_id: "+id+", partitions", 1)
			}
			a, b := startReloading(t, instance("a"), text), startReloading(t, instance("b"), text)
			var well atomic.Bool
			for _, r := range []*reloading{a, b} {
				r.probes["d"].fail = func(destinations.Delivery) error {
					if well.Load() {
						return nil
					}
					return destinations.Unavailable(destinations.RetryAtLeast(errors.New("answer 410"), 10*time.Minute))
				}
			}
			eventually := func(what string, is func() bool) {
				t.Helper()
				for deadline := time.Now().Add(20 * time.Second); !is(); <-time.After(5 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatal("never: ", what)
					}
				}
			}
			eventually("both have partitions", func() bool { return a.app.Destinations()[0].Assigned && b.app.Destinations()[0].Assigned })
			const users = 40 // both have some of them
			for u := range users {
				if code, body := post(t, a.url+"/v1/events", fmt.Sprintf(`{"userId":"user%d"}`, u)); code != 202 {
					t.Fatal(body)
				}
			}
			eventually("the breakers of both open", func() bool { return a.app.Destinations()[0].Breaker.Open && b.app.Destinations()[0].Breaker.Open })
			well.Store(true)
			var unknown *app.UnknownDestinationError
			if _, err := a.app.RetryNow(t.Context(), "e", "", "ada"); !errors.As(err, &unknown) {
				t.Errorf("a destination that there is not: %v", err)
			}
			if err := a.app.Pause(t.Context(), "d", "ada", "", false); err != nil {
				t.Fatal(err)
			}
			if _, err := a.app.RetryNow(t.Context(), "d", "", "bob"); !errors.Is(err, app.ErrPaused) || !strings.Contains(err.Error(), "by ada") {
				t.Errorf("a destination that is paused: %v", err)
			}
			if _, err := a.app.Resume(t.Context(), "d", "ada", false, false); err != nil {
				t.Fatal(err)
			}
			w, err := a.app.RetryNow(t.Context(), "d", "", "bob")
			if err != nil || !w.Pause {
				t.Fatalf("%+v, %v", w, err)
			}
			eventually("all are delivered", func() bool { return len(a.probes["d"].came)+len(b.probes["d"].came) == users })
		})
	}
}
