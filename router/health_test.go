package router

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"eventserver/destinations"
	"eventserver/router/attempt"
	"eventserver/router/routertest"
)

// Nothing said that a receiver fails until 20 keys had: its breaker was closed, WHY
// was empty and nothing was wrong.
func TestFailingIsShownBeforeTheBreakerOpens(t *testing.T) {
	for name, fault := range map[string]error{
		"plain": routertest.ErrPlain, "unavailable": destinations.Unavailable(routertest.ErrPlain), "refused": destinations.Permanent(routertest.ErrPlain),
		"later": destinations.RetryAfter(routertest.ErrPlain, time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				dest := newReceiver("d", func(destinations.Delivery) error { return fault })
				r := newRig(t, Destination{Destination: dest, Retry: attempt.Retry{Initial: time.Second, Attempts: 20}})
				r.deliver("d", "ada", "e1")
				status := func() (why string, problems []string) {
					s, _ := r.pipeline.Status("d")
					s.Assigned = true // the broker of this test gives nothing to read
					if s.Breaker.Open {
						t.Fatal("the breaker is open: this test is of before that")
					}
					return s.Why(time.Now()), s.Problems(time.Now())
				}
				if why, problems := status(); !strings.Contains(why, "its last attempt failed, at ") || !strings.HasSuffix(why, ": it did not work") || len(problems) > 0 {
					t.Errorf("after one: why %q, problems %q", why, problems)
				}
				routertest.Elapse(failingFor)
				why, problems := status()
				if !strings.Contains(why, ": it did not work") || len(problems) == 0 || problems[0] != why {
					t.Errorf("later: why %q, problems %q", why, problems)
				}
				dest.set(func(destinations.Delivery) error { return nil })
				r.deliver("d", "bob", "e2")
				if why, problems := status(); strings.Contains(why, "fail") || len(problems) > 0 {
					t.Errorf("after a success: why %q, problems %q", why, problems)
				}
			})
		})
	}
}

// spread is the most by which what was told the same time comes later, each otherwise.
const spread = 250 * time.Millisecond

// A receiver that says when to come again is asked then: not at once, not after
// the pauses that grow, whoever asks.
func TestTheNamedTimeIsKept(t *testing.T) {
	for _, tt := range []struct {
		name  string
		keys  int
		wait  time.Duration
		err   func(error, time.Duration) error
		least time.Duration // between two attempts; the last of them
		most  time.Duration
	}{
		{"429 of one user", 1, 2 * time.Second, destinations.RetryAfter, 2 * time.Second, 2*time.Second + spread},
		{"429 of all", 5, 2 * time.Second, destinations.RetryAfter, 2 * time.Second, 2*time.Second + spread},
		{"less than the first pause", 5, 300 * time.Millisecond, destinations.RetryAfter, 300 * time.Millisecond, 400 * time.Millisecond},
		{"more than the longest pause", 5, 5 * time.Minute, destinations.RetryAfter, 5 * time.Minute, 5*time.Minute + spread},
		{"no time named", 5, time.Second, destinations.RetryAtLeast, time.Minute, time.Minute},
		{"at once", 5, 0, destinations.RetryAfter, time.Minute, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				dest := newReceiver("d", func(destinations.Delivery) error {
					return destinations.Unavailable(tt.err(routertest.ErrPlain, tt.wait))
				})
				r := newRig(t, Destination{Destination: dest, Retry: attempt.Retry{Max: time.Millisecond}, Breaker: attempt.Breaker{Initial: time.Second, Max: time.Minute}})
				for k := range tt.keys {
					r.deliver("d", fmt.Sprint("k", k), fmt.Sprint("e", k))
				}
				routertest.Elapse(12 * max(tt.wait, time.Minute))
				dest.mu.Lock()
				at := dest.at
				dest.mu.Unlock()
				if len(at) < 10 {
					t.Fatalf("%d attempts", len(at))
				}
				for i := len(at) - 3; i < len(at); i++ {
					if d := at[i].Sub(at[i-1]); d < tt.least || d > tt.most {
						t.Errorf("attempt %d came %s after the one before, want %s to %s", i, d, tt.least, tt.most)
					}
				}
				dest.set(func(destinations.Delivery) error { return nil })
				routertest.Elapse(10 * time.Minute)
				if n := len(r.poisoned("d")); n != 0 {
					t.Errorf("%d poisoned", n)
				}
			})
		})
	}
}
