package router

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/routertest"
)

func anyKey(string) bool { return true }

func only(key string) func(string) bool { return func(k string) bool { return k == key } }

// What was mended is tried at once, not when the pause is over: after 410 that is
// ten minutes.
func TestRetryNowEndsAPause(t *testing.T) {
	for name, fault := range map[string]error{
		"outage": destinations.Unavailable(routertest.ErrPlain), "410": destinations.Unavailable(destinations.RetryAtLeast(routertest.ErrPlain, 10*time.Minute)),
		"429": destinations.Unavailable(destinations.RetryAfter(routertest.ErrPlain, 3*time.Minute)),
	} {
		t.Run(name, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				dest := newReceiver("d", func(destinations.Delivery) error { return fault })
				r := newRig(t, Destination{Destination: dest, Retry: attempt.Retry{Attempts: 2, Max: 20 * time.Minute, Initial: 20 * time.Minute}, Breaker: attempt.Breaker{Initial: time.Minute, Max: time.Minute}})
				for k := range 20 {
					r.deliver("d", fmt.Sprint("k", k), fmt.Sprint("e", k))
				}
				n := dest.total()
				if w := r.pipeline.RetryWaits("d", anyKey); !w.Pause || w.Backoffs == 0 {
					t.Fatalf("there is nothing to end: %+v", w)
				}
				for range 50 { // asked again and again, it stays one probe each time and spends nothing
					r.pipeline.RetryNow("d", anyKey)
					synctest.Wait()
				}
				if m := dest.total(); m != n+50 {
					t.Errorf("%d attempts, want a probe for each time", m-n)
				}
				dest.set(func(destinations.Delivery) error { return nil })
				if w := r.pipeline.RetryNow("d", anyKey); !w.Pause {
					t.Errorf("ended %+v", w)
				}
				synctest.Wait()
				if n := r.metric("eventserver_deliveries_total", map[string]string{"outcome": metrics.Delivered}); n != 20 {
					t.Errorf("delivered %v of 20 at once", n)
				}
				if n := len(r.poisoned("d")); n != 0 {
					t.Errorf("%d poisoned", n)
				}
				if w := r.pipeline.RetryNow("d", anyKey); w != (attempt.Waits{}) {
					t.Errorf("there is nothing more to end: %+v", w)
				}
			})
		})
	}
}

// A backoff of one user ends, and that of the others does not.
func TestRetryNowEndsBackoffs(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		dest := newReceiver("d", func(destinations.Delivery) error { return destinations.RetryAfter(routertest.ErrPlain, time.Hour) })
		r := newRig(t, Destination{Destination: dest, Retry: attempt.Retry{Attempts: 5, MaxAge: 100 * time.Hour}})
		msgs := append(r.deliver("d", "ada", "a1", "a2"), r.deliver("d", "bob", "b1")...)
		if w := r.pipeline.RetryNow("d", only("ada")); w != (attempt.Waits{Backoffs: 1}) {
			t.Errorf("ended %+v", w)
		}
		synctest.Wait()
		if dest.calls["a1"] != 2 || dest.calls["b1"] != 1 {
			t.Errorf("attempts %v, want one more of ada's alone", dest.calls)
		}
		// What was ended is over: the next backoff is a whole one.
		routertest.Elapse(59 * time.Minute)
		if dest.calls["a1"] != 2 {
			t.Error("the next backoff was ended, too")
		}
		if w := r.pipeline.RetryWaits("d", anyKey); w != (attempt.Waits{Backoffs: 2}) {
			t.Errorf("there would be %+v to end", w)
		}
		dest.set(func(destinations.Delivery) error { return nil })
		r.pipeline.RetryNow("d", anyKey)
		synctest.Wait()
		for _, m := range msgs {
			routertest.WantVerdict(t, m, "acked")
		}
		if w := r.pipeline.RetryNow("nobody", anyKey); w != (attempt.Waits{}) {
			t.Errorf("%+v of a destination that is not there", w)
		}
	})
}

// A pause by hand stays, and an attempt that is under way is not made twice.
func TestRetryNowLeavesTheRest(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		dest := newReceiver("d", func(destinations.Delivery) error { return destinations.Unavailable(routertest.ErrPlain) })
		r := newRig(t, Destination{Destination: dest, Breaker: attempt.Breaker{Initial: time.Hour, Max: time.Hour}})
		r.deliver("d", "k1", "e1")
		r.deliver("d", "k2", "e2")
		routertest.Elapse(time.Minute)
		dest.mu.Lock()
		dest.takes = time.Minute
		dest.mu.Unlock()
		n := dest.total()
		r.pipeline.RetryNow("d", anyKey)
		synctest.Wait()
		r.pipeline.RetryNow("d", anyKey) // while the probe is under way
		synctest.Wait()
		if m := dest.total(); m != n+1 {
			t.Errorf("%d attempts, want one probe", m-n)
		}
		routertest.Elapse(2 * time.Minute)
		r.pipeline.Pause("d", Note{})
		n = dest.total()
		r.pipeline.RetryNow("d", anyKey)
		routertest.Elapse(time.Minute)
		if m := dest.total(); m != n {
			t.Errorf("%d attempts of a destination that is paused", m-n)
		}
		r.pipeline.Resume("d")
	})
}

// The user that is meant goes first, also where others came to the breaker before.
func TestRetryNowOfOneUserIsTheProbe(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		dest := newReceiver("d", func(destinations.Delivery) error { return destinations.Unavailable(routertest.ErrPlain) })
		r := newRig(t, Destination{Destination: dest, Breaker: attempt.Breaker{Initial: time.Hour, Max: time.Hour}})
		for k := range 5 {
			r.deliver("d", fmt.Sprint("k", k), fmt.Sprint("e", k))
		}
		routertest.Elapse(time.Minute) // all wait for the breaker
		n := dest.calls["e4"]
		r.pipeline.RetryNow("d", only("k4"))
		synctest.Wait()
		if dest.calls["e4"] != n+1 {
			t.Errorf("attempts %v, want one more of e4", dest.calls)
		}
	})
}
