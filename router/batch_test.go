package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// batchDest takes batches and remembers them.
type batchDest struct {
	routertest.FuncDest
	answer func(ids []string) error

	mu      sync.Mutex
	batches [][]string
}

func newBatchDest(answer func(ids []string) error) *batchDest {
	d := &batchDest{answer: answer}
	d.Name = "d"
	d.OnDeliver = func(ctx context.Context, one destinations.Delivery) error {
		return d.DeliverBatch(ctx, []destinations.Delivery{one})
	}
	return d
}

func (d *batchDest) DeliverBatch(_ context.Context, ds []destinations.Delivery) error {
	var ids []string
	for _, one := range ds {
		ids = append(ids, one.EventID)
	}
	d.mu.Lock()
	d.batches = append(d.batches, ids)
	d.mu.Unlock()
	return d.answer(ids)
}

func (d *batchDest) seen() [][]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.batches)
}

// send gives each key its events, the keys in turn.
func (r *rig) send(keys, each int) {
	for n := range each {
		for k := range keys {
			r.broker.subs[record.DeliverGroup("d")].Ch <- routertest.Delivery(fmt.Sprint("k", k), fmt.Sprintf("k%d-%d", k, n))
		}
	}
}

// inOrder checks that each key's events came in order, and returns how many came.
func inOrder(t *testing.T, batches [][]string) (events int) {
	t.Helper()
	next := map[string]int{}
	for _, b := range batches {
		for _, id := range b {
			events++
			key, n, _ := strings.Cut(id, "-")
			if n != fmt.Sprint(next[key]) {
				t.Errorf("%s came when %d was due", id, next[key])
			}
			next[key]++
		}
	}
	return events
}

func TestBatchesKeepTheOrderOfKeys(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		d := newBatchDest(func([]string) error { return nil })
		r := newRig(t, Destination{Destination: d, Concurrency: 2, Batch: attempt.Batch{MaxEvents: 10, MaxWait: time.Second}})
		began := time.Now()
		r.send(25, 4)
		routertest.Elapse(time.Minute)
		got := d.seen()
		if n := inOrder(t, got); n != 100 {
			t.Errorf("%d events came, want 100", n)
		}
		if len(got) > 14 { // 25 keys: two full batches and a rest of five, four times
			t.Errorf("%d attempts for 100 events in batches of 10", len(got))
		}
		for _, b := range got {
			if len(b) > 10 {
				t.Errorf("a batch of %d", len(b))
			}
		}
		if time.Since(began) > 2*time.Minute {
			t.Error("waiting for a full batch has no end")
		}
	})
}

// A batch with one bad event fails as a whole. Each of it is tried again alone,
// so only the bad one is given up, and nothing comes out of order.
func TestBadEventOfABatchIsFound(t *testing.T) {
	for name, fault := range map[string]error{"final": destinations.Permanent(routertest.ErrPlain), "plain": routertest.ErrPlain} {
		t.Run(name, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				d := newBatchDest(func(ids []string) error {
					if slices.Contains(ids, "k3-1") {
						return fault
					}
					return nil
				})
				r := newRig(t, Destination{Destination: d, Batch: attempt.Batch{MaxEvents: 8}, Retry: attempt.Retry{Attempts: 3}})
				r.send(8, 3)
				routertest.Elapse(10 * time.Minute)
				got := r.poisoned("d")
				if len(got) != 1 || got[0].EventID != "k3-1" || (name == "final") != (got[0].Reason == metrics.ReasonPermanent) {
					t.Fatalf("poisoned %+v, want k3-1 alone", got)
				}
				done := slices.DeleteFunc(d.seen(), func(ids []string) bool { return slices.Contains(ids, "k3-1") })
				for i := range done {
					done[i] = slices.DeleteFunc(slices.Clone(done[i]), func(id string) bool { return strings.HasPrefix(id, "k3-") })
				}
				if n := inOrder(t, done); n != 21 {
					t.Errorf("%d of the other users' events came, want 21", n)
				}
			})
		})
	}
}

func TestBatchOfADestinationThatIsDown(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		up := time.Now().Add(time.Hour)
		d := newBatchDest(func([]string) error {
			if time.Now().Before(up) {
				return destinations.Unavailable(routertest.ErrPlain)
			}
			return nil
		})
		r := newRig(t, Destination{Destination: d, Batch: attempt.Batch{MaxEvents: 10}, Retry: attempt.Retry{Attempts: 3}})
		r.send(20, 2)
		routertest.Elapse(2 * time.Hour)
		if n := r.metric("eventserver_deliveries_total", map[string]string{"outcome": metrics.Delivered}); n != 40 || len(r.poisoned("d")) != 0 {
			t.Errorf("delivered %v of 40, poisoned %d", n, len(r.poisoned("d")))
		}
	})
}

func TestBatchIsBoundedInBytes(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		d := newBatchDest(func([]string) error { return nil })
		r := newRig(t, Destination{Destination: d, Batch: attempt.Batch{MaxEvents: 100, MaxBytes: 40}})
		r.send(10, 1) // 13 bytes each
		routertest.Elapse(time.Second)
		for _, b := range d.seen() {
			if len(b) > 3 {
				t.Errorf("%d events of 13 bytes in a batch of at most 40", len(b))
			}
		}
		inOrder(t, d.seen())
	})
}

// When the claim of one of its events ends, the batch is waited for: the next
// owner must not find a request of ours still on its way. It may finish within
// the grace; later it is cancelled.
func TestBatchEndsWithAClaim(t *testing.T) {
	const grace = time.Second
	for name, c := range map[string]struct {
		after time.Duration
		a     string // the verdict on the event whose claim ended
	}{
		"within the grace": {grace / 2, "acked"},
		"after it":         {2 * grace, "nacked"},
	} {
		t.Run(name, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				d := &slowBatch{began: make(chan struct{}, 10), release: make(chan struct{})}
				d.Name = "d"
				r := newRig(t, Destination{Destination: d, Batch: attempt.Batch{MaxEvents: 2}, Timeout: time.Hour})
				ctx, end, cut := routertest.Claim(t)
				a, b := routertest.Within(ctx, routertest.Delivery("a", "a1")), routertest.Delivery("b", "b1")
				r.broker.subs[record.DeliverGroup("d")].Ch <- a
				r.broker.subs[record.DeliverGroup("d")].Ch <- b
				<-d.began
				end()
				time.AfterFunc(grace, cut)
				routertest.Elapse(c.after)
				routertest.WantVerdict(t, a, "") // its request has not returned
				close(d.release)
				routertest.Elapse(time.Minute)
				routertest.WantVerdict(t, a, c.a)
				routertest.WantVerdict(t, b, "acked") // after the grace it is delivered by the next attempt
			})
		})
	}
}

// slowBatch returns only when it is released, whatever its context says.
type slowBatch struct {
	routertest.FuncDest
	began   chan struct{}
	release chan struct{}
}

func (s *slowBatch) Deliver(context.Context, destinations.Delivery) error { return nil }
func (s *slowBatch) DeliverBatch(ctx context.Context, _ []destinations.Delivery) error {
	s.began <- struct{}{}
	<-s.release
	return ctx.Err()
}

func TestBatchNeedsADestinationThatTakesThem(t *testing.T) {
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(Config{Broker: &fakeBroker{pub: &fakePub{}, subs: map[string]*routertest.ChanSub{}}, Metrics: m,
		Destinations: []Destination{{Destination: newPlan("d", nil), Batch: attempt.Batch{MaxEvents: 2}}}})
	if err == nil || !strings.Contains(err.Error(), "takes no batches") {
		t.Errorf("got %v", err)
	}
}

func TestPanicInABatch(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		d := newBatchDest(func(ids []string) error {
			if len(ids) > 1 {
				panic("a bug")
			}
			return errors.New("alone it fails too")
		})
		r := newRig(t, Destination{Destination: d, Batch: attempt.Batch{MaxEvents: 2}, Retry: attempt.Retry{Attempts: 2}})
		r.send(2, 1)
		routertest.Elapse(time.Minute)
		if got := r.poisoned("d"); len(got) != 2 {
			t.Errorf("poisoned %d, want 2: %+v", len(got), got)
		}
	})
}

// One user whose event meets a 503 or a 429 must stop nobody, batch or not, and
// is given up in the end.
func TestUnavailableEventOfABatch(t *testing.T) {
	for name, fault := range map[string]error{"503": destinations.Unavailable(routertest.ErrPlain), "429": destinations.Unavailable(destinations.RetryAfter(routertest.ErrPlain, time.Second))} {
		t.Run(name, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				d := newBatchDest(func(ids []string) error {
					if slices.Contains(ids, "bad-0") {
						return fault
					}
					return nil
				})
				r := newRig(t, Destination{Destination: d, Batch: attempt.Batch{MaxEvents: 100, MaxWait: 20 * time.Millisecond}, Retry: attempt.Retry{Attempts: 3, Max: 2 * time.Second}})
				in := r.broker.subs[record.DeliverGroup("d")].Ch
				in <- routertest.Delivery("bad", "bad-0")
				const users, seconds = 20, 300
				for n := range seconds {
					for u := range users {
						in <- routertest.Delivery(fmt.Sprint("u", u), fmt.Sprintf("u%d-%d", u, n))
					}
					routertest.Elapse(time.Second)
				}
				routertest.Elapse(10 * time.Second)
				if n := r.metric("eventserver_deliveries_total", map[string]string{"outcome": metrics.Delivered}); n != users*seconds {
					t.Errorf("delivered %v of %d", n, users*seconds)
				}
				if got := r.poisoned("d"); len(got) != 1 || got[0].EventID != "bad-0" {
					t.Errorf("poisoned %+v, want the bad event", got)
				}
			})
		})
	}
}

// A batch that fails spends no attempt of its events.
func TestBadEventOfABatchSpendsNobodysAttempts(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		d := newBatchDest(func(ids []string) error {
			if slices.Contains(ids, "k3-0") {
				return destinations.Permanent(routertest.ErrPlain)
			}
			return nil
		})
		r := newRig(t, Destination{Destination: d, Batch: attempt.Batch{MaxEvents: 40}, Retry: attempt.Retry{Attempts: 1}, Breaker: attempt.Breaker{Failures: 5}})
		r.send(40, 1)
		routertest.Elapse(5 * time.Minute)
		if got := r.poisoned("d"); len(got) != 1 || got[0].EventID != "k3-0" {
			t.Errorf("poisoned %d, want k3-0 alone", len(got))
		}
	})
}

func TestConcurrencyBoundsCalls(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		d := &slowBatch{began: make(chan struct{}, 1000), release: make(chan struct{})}
		d.Name = "d"
		r := newRig(t, Destination{Destination: d, Concurrency: 2, Batch: attempt.Batch{MaxEvents: 10}, Timeout: time.Hour})
		for n := range 10 { // ten batches, since nothing more comes within MaxWait
			r.broker.subs[record.DeliverGroup("d")].Ch <- routertest.Delivery(fmt.Sprint("k", n), fmt.Sprint("e", n))
			routertest.Elapse(time.Second)
		}
		if n := len(d.began); n != 2 {
			t.Errorf("%d calls at once, want 2", n)
		}
		close(d.release)
		routertest.Elapse(time.Minute)
		if n := r.metric("eventserver_deliveries_total", map[string]string{"outcome": metrics.Delivered}); n != 10 {
			t.Errorf("delivered %v of 10", n)
		}
	})
}

// A stop does not wait for company: what has gathered goes back.
func TestDrainDoesNotWaitForABatch(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		d := newBatchDest(func([]string) error { return nil })
		r := newRig(t, Destination{Destination: d, Batch: attempt.Batch{MaxEvents: 10, MaxWait: time.Hour}})
		m := r.deliver("d", "u", "e1")[0]
		began := time.Now()
		if err := r.pipeline.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		routertest.WantVerdict(t, m, "nacked")
		if len(d.seen()) != 0 {
			t.Errorf("attempted: %v", d.seen())
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the stop took %v", took)
		}
	})
}
