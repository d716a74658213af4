package router

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
	"eventserver/router/attempt"
	"eventserver/router/routertest"
)

// badDeploy is a destination that answers 401 to everybody, with two events of 50 users.
func badDeploy(t *testing.T, d Destination) (*rig, *receiver, []*message.Message) {
	dest := newReceiver("d", func(destinations.Delivery) error { return destinations.Permanent(routertest.ErrPlain) })
	d.Destination = dest
	r := newRig(t, d)
	var all []*message.Message
	for n := range 2 {
		for k := range 50 {
			all = append(all, r.deliver("d", fmt.Sprint("k", k), fmt.Sprintf("k%d-%d", k, n))...)
		}
	}
	return r, dest, all
}

// A receiver that answers 401 or 404 to everybody after a bad deploy would have poisoned
// all that waits for it.
func TestABadDeployPoisonsNoBacklog(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		r, dest, all := badDeploy(t, Destination{FloodGuard: 20, Concurrency: 8, Breaker: attempt.Breaker{Initial: time.Second, Max: 10 * time.Second}})
		routertest.Elapse(time.Minute)
		if n := len(r.poisoned("d")); n != 19 {
			t.Fatalf("%d poisoned, want 19", n)
		}
		calls := dest.total()
		routertest.Elapse(time.Hour)
		if n := dest.total() - calls; n < 350 || n > 370 {
			t.Errorf("%d probes in an hour, want one every 10 s", n)
		}
		s, _ := r.pipeline.Status("d")
		if why := s.Why(time.Now()); s.State != StateHeld || !s.Hold.Held || !strings.HasPrefix(why, "held since ") || len(s.Problems(time.Now())) != 1 {
			t.Errorf("state %s, why %q, problems %q", s.State, why, s.Problems(time.Now()))
		}
		if n := r.metric("eventserver_destination_held", nil); n != 1 {
			t.Error("the metric does not show it")
		}
		var order []string
		dest.set(func(d destinations.Delivery) error { order = append(order, d.EventID); return nil })
		routertest.Elapse(time.Minute)
		if n := len(r.poisoned("d")); n != 19 || len(order) != 81 {
			t.Errorf("%d poisoned and %d delivered, want 19 and 81", n, len(order))
		}
		for k := range 50 {
			first, second := slices.Index(order, fmt.Sprintf("k%d-0", k)), slices.Index(order, fmt.Sprintf("k%d-1", k))
			if second < first {
				t.Errorf("k%d: its events came as %d and %d", k, first, second)
			}
		}
		routertest.WantVerdicts(t, all, "acked")
		if s, _ := r.pipeline.Status("d"); s.State != StateRunning || r.metric("eventserver_destination_held", nil) != 0 {
			t.Errorf("it is still %s", s.State)
		}
	})
}

func TestFailuresAreAccepted(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		r, _, all := badDeploy(t, Destination{FloodGuard: 20})
		routertest.Elapse(time.Second / 2)
		if !r.pipeline.LetGo("d", false) {
			t.Error("it is not held")
		}
		routertest.Elapse(time.Second / 2)
		if n := len(r.poisoned("d")); n != 19 {
			t.Errorf("%d poisoned by going on, want 19", n)
		}
		r.pipeline.LetGo("d", true)
		routertest.Elapse(time.Second)
		routertest.WantVerdicts(t, all, "acked")
		if n := len(r.poisoned("d")); n != 100 {
			t.Errorf("%d poisoned, want all", n)
		}
	})
}

func TestTheFloodGuardIsOff(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		r, _, all := badDeploy(t, Destination{})
		routertest.Elapse(time.Second)
		routertest.WantVerdicts(t, all, "acked")
		if n := len(r.poisoned("d")); n != 100 {
			t.Errorf("%d poisoned, want all", n)
		}
	})
}

// One user whose events are all bad, and many among others that succeed, hold nothing.
func TestBadUsersHoldNothing(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		dest := newReceiver("d", func(d destinations.Delivery) error {
			if strings.HasPrefix(d.Key, "bad") {
				return destinations.Permanent(routertest.ErrPlain)
			}
			return nil
		})
		r := newRig(t, Destination{Destination: dest, FloodGuard: 20})
		for n := range 100 {
			r.deliver("d", "bad", fmt.Sprint("e", n))
		}
		for n := range 100 {
			r.deliver("d", fmt.Sprint("bad", n), fmt.Sprint("b", n))
			r.deliver("d", "good", fmt.Sprint("g", n))
		}
		routertest.Elapse(time.Second)
		if n := len(r.poisoned("d")); n != 200 || dest.total() != 300 {
			t.Errorf("%d poisoned of %d attempts, want 200 of 300", n, dest.total())
		}
	})
}
