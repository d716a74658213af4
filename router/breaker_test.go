package router

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// receiver answers by key, and counts.
type receiver struct {
	routertest.FuncDest
	mu      sync.Mutex
	answer  func(d destinations.Delivery) error
	takes   time.Duration
	calls   map[string]int // by event
	at      []time.Time
	running int
	most    int
}

func newReceiver(id string, answer func(destinations.Delivery) error) *receiver {
	r := &receiver{answer: answer, calls: map[string]int{}}
	r.Name = id
	r.OnDeliver = func(ctx context.Context, d destinations.Delivery) error {
		r.mu.Lock()
		r.calls[d.EventID]++
		r.at = append(r.at, time.Now())
		r.running++
		r.most = max(r.most, r.running)
		takes := r.takes
		r.mu.Unlock()
		defer func() { r.mu.Lock(); r.running--; r.mu.Unlock() }()
		if takes > 0 {
			select {
			case <-time.After(takes):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.answer(d)
	}
	return r
}

func (r *receiver) total() int { r.mu.Lock(); defer r.mu.Unlock(); return len(r.at) }

func (r *receiver) set(answer func(destinations.Delivery) error) {
	r.mu.Lock()
	r.answer = answer
	r.mu.Unlock()
}

// An outage burns every event's attempts in the systems we know. Here it
// pauses the destination, with one probe at a time, and spends none.
func TestOutagePausesAndSpendsNoAttempts(t *testing.T) {
	for name, fault := range map[string]error{
		"unavailable": destinations.Unavailable(routertest.ErrPlain),
		"plain":       routertest.ErrPlain, // 500s of many keys open the breaker as well
	} {
		t.Run(name, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				const keys, each = 50, 4
				dest := newReceiver("d", func(destinations.Delivery) error { return fault })
				r := newRig(t, Destination{Destination: dest, Concurrency: 8, Retry: attempt.Retry{Attempts: 3, Max: time.Minute, MaxAge: time.Hour},
					Breaker: attempt.Breaker{Failures: 5, Initial: time.Second, Max: 10 * time.Second}})
				for k := range keys {
					for n := range each {
						r.broker.subs[record.DeliverGroup("d")].Ch <- routertest.Delivery(fmt.Sprint("k", k), fmt.Sprintf("k%d-%d", k, n))
					}
				}
				routertest.Elapse(time.Minute)
				if n := r.metric("eventserver_breaker_open", nil); n != 1 {
					t.Fatal("the breaker is not open")
				}
				before := dest.total()
				routertest.Elapse(10 * time.Minute)
				if probes := dest.total() - before; probes < 55 || probes > 65 {
					t.Errorf("%d probes in 10 min, want one in 10 s", probes)
				}
				dest.set(func(destinations.Delivery) error { return nil })
				routertest.Elapse(time.Minute)
				if n := r.metric("eventserver_deliveries_total", map[string]string{"outcome": metrics.Delivered}); n != keys*each {
					t.Errorf("delivered %v of %d after the outage", n, keys*each)
				}
				if n := len(r.poisoned("d")); n != 0 {
					t.Errorf("the outage poisoned %d", n)
				}
				if n := r.metric("eventserver_breaker_open", nil); n != 0 {
					t.Error("the breaker stayed open")
				}
			})
		})
	}
}

// One user whose events always meet a 503 must neither pause the others nor be
// tried for ever.
func TestOneUnavailableUserPausesNobody(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		dest := newReceiver("d", func(d destinations.Delivery) error {
			if d.Key == "bad" {
				return destinations.Unavailable(routertest.ErrPlain)
			}
			return nil
		})
		r := newRig(t, Destination{Destination: dest, Retry: attempt.Retry{Attempts: 3}})
		r.deliver("d", "bad", "bad-1", "bad-2")
		for n := range 600 {
			m := r.deliver("d", "good", fmt.Sprint("good-", n))[0]
			routertest.WantVerdict(t, m, "acked") // at once
			routertest.Elapse(time.Second)
		}
		if got := r.poisoned("d"); len(got) != 2 || got[0].Reason != metrics.ReasonAttempts {
			t.Errorf("poisoned %+v, want both events of the bad user", got)
		}
	})
}

func TestRetryAfterOfAnOutageIsKept(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		dest := newReceiver("d", func(destinations.Delivery) error {
			return destinations.Unavailable(destinations.RetryAfter(routertest.ErrPlain, 2*time.Minute))
		})
		r := newRig(t, Destination{Destination: dest})
		for k := range 10 {
			r.deliver("d", fmt.Sprint("k", k), fmt.Sprint("e", k))
		}
		n := dest.total()
		routertest.Elapse(119 * time.Second)
		if m := dest.total(); m != n {
			t.Errorf("%d attempts within the Retry-After", m-n)
		}
		routertest.Elapse(2 * time.Second)
		if m := dest.total(); m != n+1 {
			t.Errorf("%d attempts after the Retry-After, want one probe", m-n)
		}
	})
}

// The limit is on attempts, not on keys: a hundred keys in backoff leave it free.
func TestConcurrencyAndBackoff(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		dest := newReceiver("d", func(d destinations.Delivery) error {
			if d.Key[0] == 'f' {
				return destinations.RetryAfter(routertest.ErrPlain, time.Hour)
			}
			return nil
		})
		dest.takes = time.Second
		r := newRig(t, Destination{Destination: dest, Concurrency: 4, Breaker: attempt.Breaker{Failures: 1000}})
		for k := range 100 {
			r.deliver("d", fmt.Sprint("failing-", k), fmt.Sprint("f", k))
		}
		<-time.After(26 * time.Second) // 100 attempts, 4 at once, 1 s each
		if n := dest.total(); n != 100 || dest.most != 4 {
			t.Fatalf("%d attempts, at most %d at once, want 100 and 4", n, dest.most)
		}
		began := time.Now()
		for k := range 4 {
			r.deliver("d", fmt.Sprint("good-", k), fmt.Sprint("g", k))
		}
		routertest.Elapse(time.Second)
		synctest.Wait()
		if n := r.metric("eventserver_deliveries_total", map[string]string{"outcome": metrics.Delivered}); n != 4 {
			t.Errorf("%v of 4 delivered in %v: keys in backoff hold workers", n, time.Since(began))
		}
	})
}

func TestRateLimit(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		dest := newReceiver("d", func(destinations.Delivery) error { return nil })
		r := newRig(t, Destination{Destination: dest, Rate: attempt.RateLimit{PerSecond: 10, Burst: 5}})
		for k := range 55 {
			r.deliver("d", fmt.Sprint("k", k), fmt.Sprint("e", k))
		}
		routertest.Elapse(5*time.Second - time.Millisecond)
		if n := dest.total(); n != 54 {
			t.Errorf("%d attempts just before 5 s, want 5 at once and 49 more", n)
		}
		routertest.Elapse(2 * time.Millisecond)
		if n := dest.total(); n != 55 {
			t.Errorf("%d attempts after 5 s, want 55", n)
		}
	})
}

// A receiver that allows so many requests a second and refuses the rest with
// 429 gets every event: nothing is poisoned, and few attempts are refused.
func TestRateLimitedReceiverGetsEverything(t *testing.T) {
	for _, perSecond := range []int{2, 20} {
		t.Run(fmt.Sprint(perSecond), func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				const keys = 200
				var second time.Time
				taken := 0
				dest := newReceiver("d", func(destinations.Delivery) error { // it holds the receiver's lock
					if now := time.Now().Truncate(time.Second); now != second {
						second, taken = now, 0
					}
					if taken == perSecond {
						return destinations.Unavailable(destinations.RetryAfter(routertest.ErrPlain, time.Second))
					}
					taken++
					return nil
				})
				r := newRig(t, Destination{Destination: dest})
				for k := range keys {
					r.deliver("d", fmt.Sprint("k", k), fmt.Sprint("e", k))
				}
				full := time.Duration(keys/perSecond) * time.Second
				routertest.Elapse(4*full + time.Minute)
				if n := r.metric("eventserver_deliveries_total", map[string]string{"outcome": metrics.Delivered}); n != keys {
					t.Errorf("delivered %v of %d", n, keys)
				}
				if n := len(r.poisoned("d")); n != 0 {
					t.Errorf("poisoned %d", n)
				}
				if n := dest.total() - keys; n > 3*keys {
					t.Errorf("%d attempts were refused for %d events", n, keys)
				}
			})
		})
	}
}

// One user who is always told to come later reaches the limit all the same: one time in
// ten counts.
func TestOneThrottledUserIsGivenUp(t *testing.T) {
	const throttled = 10
	routertest.Run(t, func(t *testing.T) {
		dest := newReceiver("d", func(d destinations.Delivery) error {
			if d.Key == "bad" {
				return destinations.Unavailable(destinations.RetryAfter(routertest.ErrPlain, time.Second))
			}
			return nil
		})
		r := newRig(t, Destination{Destination: dest, Retry: attempt.Retry{Attempts: 3, Max: 2 * time.Second}})
		r.deliver("d", "bad", "bad-1")
		for n := range 200 {
			routertest.WantVerdict(t, r.deliver("d", "good", fmt.Sprint("good-", n))[0], "acked")
			routertest.Elapse(time.Second)
		}
		if got := r.poisoned("d"); len(got) != 1 || got[0].Reason != metrics.ReasonAttempts || got[0].Attempts < 3*throttled {
			t.Errorf("poisoned %+v, want the bad user's event after some %d attempts", got, 3*throttled)
		}
	})
}
