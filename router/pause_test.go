package router

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// A paused destination makes no attempt and spends nothing, however long.
func TestPauseHoldsAttemptsAndAgesNothing(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		dest := newReceiver("d", func(destinations.Delivery) error { return routertest.ErrPlain })
		r := newRig(t, Destination{Destination: dest, Retry: attempt.Retry{Attempts: 5, Initial: time.Second, Max: time.Second, MaxAge: time.Minute}})
		m := r.deliver("d", "ada", "e1")[0] // in backoff after its first attempt
		r.pipeline.Pause("d", Note{By: "ada", Why: "maintenance", At: time.Now()})
		others := r.deliver("d", "bob", "e2", "e3")
		routertest.Elapse(24 * time.Hour)
		if n := dest.total(); n != 1 {
			t.Fatalf("%d attempts, want the one before the pause", n)
		}
		if n := r.metric("eventserver_destination_paused", nil); n != 1 {
			t.Error("the metric does not show the pause")
		}
		s, _ := r.pipeline.Status("d")
		if s.State != StatePaused || !strings.HasPrefix(s.Why(time.Now()), "paused by ada since ") || !strings.HasSuffix(s.Why(time.Now()), ": maintenance") {
			t.Errorf("state %s, why %q", s.State, s.Why(time.Now()))
		}
		dest.set(func(destinations.Delivery) error { return nil })
		r.pipeline.Resume("d")
		synctest.Wait()
		for _, m := range append(others, m) {
			routertest.WantVerdict(t, m, "acked")
		}
		if n := len(r.poisoned("d")); n != 0 {
			t.Errorf("the pause poisoned %d", n)
		}
		if n := r.metric("eventserver_destination_paused", nil); n != 0 {
			t.Error("the metric still shows the pause")
		}
	})
}

// What waits for a token or a slot when the pause comes is held too; what is
// under way ends.
func TestPauseHoldsWhatWaitsForItsTurn(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		dest := newReceiver("d", func(destinations.Delivery) error { return nil })
		dest.takes = time.Second
		r := newRig(t, Destination{Destination: dest, Concurrency: 10, Rate: attempt.RateLimit{PerSecond: 2, Burst: 3}})
		for k := range 30 {
			r.deliver("d", fmt.Sprint("k", k), fmt.Sprint("e", k))
		}
		r.pipeline.Pause("d", Note{})
		r.pipeline.Pause("d", Note{Why: "again"})
		routertest.Elapse(time.Hour)
		if n := r.metric("eventserver_deliveries_total", map[string]string{"outcome": metrics.Delivered}); n != 3 || dest.total() != 3 {
			t.Errorf("%d attempts, %v delivered, want the 3 that were under way", dest.total(), n)
		}
		r.pipeline.Resume("d")
		routertest.Elapse(time.Minute)
		if n := dest.total(); n != 30 {
			t.Errorf("%d attempts after the pause, want 30", n)
		}
	})
}

// A pause and a breaker at once: neither is forgotten, and no probe is lost.
func TestPauseDuringAnOutage(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		down := destinations.Unavailable(routertest.ErrPlain)
		dest := newReceiver("d", func(destinations.Delivery) error { return down })
		r := newRig(t, Destination{Destination: dest, Breaker: attempt.Breaker{Initial: time.Second, Max: 10 * time.Second}})
		for k := range 20 {
			r.deliver("d", fmt.Sprint("k", k), fmt.Sprint("e", k))
		}
		routertest.Elapse(30 * time.Second)
		s, _ := r.pipeline.Status("d")
		if why := s.Why(time.Now()); !s.Breaker.Open || !strings.HasPrefix(why, "breaker open until ") || !strings.HasSuffix(why, ": "+down.Error()) {
			t.Errorf("breaker %+v, why %q", s.Breaker, why)
		}
		r.pipeline.Pause("d", Note{})
		routertest.Elapse(time.Minute)
		n := dest.total()
		routertest.Elapse(time.Hour)
		if m := dest.total(); m != n {
			t.Errorf("%d attempts during the pause", m-n)
		}
		dest.set(func(destinations.Delivery) error { return nil })
		r.pipeline.Resume("d")
		routertest.Elapse(time.Minute)
		if n := r.metric("eventserver_deliveries_total", map[string]string{"outcome": metrics.Delivered}); n != 20 {
			t.Errorf("delivered %v of 20", n)
		}
	})
}

// A pause must not hold up a stop, nor a claim that ends.
func TestPauseLetsGo(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		dest := newReceiver("d", func(destinations.Delivery) error { return nil })
		r := newRig(t, Destination{Destination: dest})
		r.pipeline.Pause("d", Note{})
		ctx, cancel := context.WithCancel(t.Context())
		m := routertest.Within(ctx, routertest.Delivery("ada", "e1"))
		r.broker.subs[record.DeliverGroup("d")].Ch <- m
		synctest.Wait()
		cancel()
		synctest.Wait()
		routertest.WantVerdict(t, m, "nacked")
		r.deliver("d", "bob", "e2") // waits at the end of the test: the rig drains
	})
}

// What may not start is not read either: it stays in the broker.
func TestWhatMayNotStartIsNotRead(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		const slots = 5
		dest := newReceiver("d", func(destinations.Delivery) error { return nil })
		r := newRig(t, Destination{Destination: dest, Concurrency: slots, Breaker: attempt.Breaker{Failures: 2, Initial: time.Second, Max: time.Second}})
		bounded := func(when string, want int64) {
			t.Helper()
			synctest.Wait()
			backoffs := int64(r.pipeline.RetryWaits("d", anyKey).Backoffs) // they take no place of the others
			if want > 0 {
				want += backoffs
			}
			if got := r.broker.subs[record.DeliverGroup("d")].Most.Load(); got != want {
				t.Errorf("%s: bounded to %d, want %d", when, got, want)
			}
		}
		bounded("at the start", 0)
		r.pipeline.Pause("d", Note{})
		bounded("paused", slots)
		r.pipeline.Resume("d")
		bounded("resumed", 0)
		dest.set(func(destinations.Delivery) error { return routertest.ErrPlain })
		for k := range 3 {
			r.deliver("d", fmt.Sprint("k", k), "e")
		}
		bounded("down", slots)
		r.pipeline.Pause("d", Note{})
		dest.set(func(destinations.Delivery) error { return nil })
		r.pipeline.Resume("d")
		bounded("down, and no pause any more", slots)
		routertest.Elapse(time.Minute)
		bounded("up again", 0)
	})
}
