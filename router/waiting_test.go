package router

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// waitsFor is why the destination "d" does not go on with key.
func (r *rig) waitsFor(key string) Waiting {
	r.Helper()
	all := r.pipeline.Waiting("d", key)
	if len(all) != 1 {
		r.Fatalf("key %s waits in %d stages: %+v", key, len(all), all)
	}
	if w := all[0]; w.Stage != record.StageDeliver || w.Key != key {
		r.Errorf("key %s: %+v", key, w)
	}
	return all[0]
}

// blockedBy is the metric, by reason, without the zeroes.
func (r *rig) blockedBy() map[string]float64 {
	out := map[string]float64{}
	for _, reason := range metrics.Waits() {
		if n := r.metric("eventserver_blocked_keys", map[string]string{"destination": "d", "reason": reason}); n != 0 {
			out[reason] = n
		}
	}
	return out
}

func (r *rig) wantBlocked(want map[string]float64) {
	r.Helper()
	if got := r.blockedBy(); !maps.Equal(got, want) {
		r.Errorf("blocked keys %v, want %v", got, want)
	}
}

// nothingNoted: whatever happened, nothing waits when all is done.
func (r *rig) nothingNoted() {
	r.Helper()
	synctest.Wait()
	s := r.pipeline.find("d")
	if n := len(s.scheduler().Waiting()); n != 0 {
		r.Errorf("%d keys are left in the scheduler", n)
	}
	for _, stage := range s.stages() {
		if n := len(stage.waits.all); n != 0 {
			r.Errorf("%d runs are left in the stage %s", n, stage.kind)
		}
	}
	r.wantBlocked(map[string]float64{})
}

func TestWaitingInBackoff(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		began := make(chan struct{}, 10)
		verdicts := make(chan error)
		r := newRig(t, Destination{Retry: attempt.Retry{Attempts: 4, Initial: time.Minute, Max: time.Minute}, Destination: &routertest.FuncDest{Name: "d",
			OnDeliver: func(ctx context.Context, d destinations.Delivery) error {
				began <- struct{}{}
				return <-verdicts
			}}})
		r.deliver("d", "u1", "e1", "e2", "e3")
		<-began
		w := r.waitsFor("u1")
		if w.Reason != metrics.WaitAttempt || w.Attempts != 0 || w.Limit != 4 || w.EventID != "e1" || w.Waiting != 2 || len(w.Behind) != 2 ||
			w.Behind[0].EventID != "e2" || w.Behind[1].EventID != "e3" || w.Last != "" || w.Blocked.IsZero() {
			t.Errorf("first attempt: %+v", w)
		}
		r.wantBlocked(map[string]float64{metrics.WaitAttempt: 1})
		failed := time.Now()
		verdicts <- errors.New("answer 500")
		synctest.Wait()
		w = r.waitsFor("u1")
		if w.Reason != metrics.WaitBackoff || w.Attempts != 1 || w.Counted != 1 || w.Last != "answer 500" || !w.Since.Equal(failed) ||
			w.Next.Before(failed) || w.Next.After(failed.Add(time.Minute)) {
			t.Errorf("backoff: %+v", w)
		}
		r.wantBlocked(map[string]float64{metrics.WaitBackoff: 1})
		if blocked, all := r.pipeline.Blocked("d", 10); all != 1 || len(blocked) != 1 || blocked[0].EventID != "e1" || blocked[0].Reason != metrics.WaitBackoff {
			t.Errorf("blocked: %d, %+v", all, blocked)
		}
		<-began // the second attempt is under way
		if now := time.Now(); now.Before(w.Next) {
			t.Errorf("the next attempt was said to begin at %s and began at %s", w.Next, now)
		}
		if w = r.waitsFor("u1"); w.Reason != metrics.WaitAttempt || w.Attempts != 1 || w.Last != "answer 500" {
			t.Errorf("second attempt: %+v", w)
		}
		verdicts <- nil
		<-began
		if w = r.waitsFor("u1"); w.EventID != "e2" || w.Attempts != 0 || w.Last != "" || w.Waiting != 1 {
			t.Errorf("the next event: %+v", w)
		}
		verdicts <- nil
		<-began
		verdicts <- nil
		r.nothingNoted()
		got := r.pipeline.Recent("d", "e1", "")
		if len(got) != 1 || got[0].Attempts != 2 || got[0].Outcome != metrics.Delivered || got[0].At.Before(failed) {
			t.Errorf("remembered: %+v", got)
		}
		if got := r.pipeline.Recent("d", "e9", ""); got != nil {
			t.Errorf("remembered of an event that never was: %+v", got)
		}
	})
}

func TestWaitingAtTheGate(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		verdicts := make(chan error)
		r := newRig(t, Destination{Concurrency: 1, Destination: &routertest.FuncDest{Name: "d",
			OnDeliver: func(ctx context.Context, d destinations.Delivery) error { return <-verdicts }}})
		r.deliver("d", "u1", "e1")
		r.deliver("d", "u2", "e2", "e3")
		if w := r.waitsFor("u2"); w.Reason != metrics.WaitSlot || w.Since.IsZero() {
			t.Errorf("slot: %+v", w)
		}
		r.wantBlocked(map[string]float64{metrics.WaitSlot: 1})
		at := time.Now()
		r.pipeline.Pause("d", Note{By: "ada", At: at})
		verdicts <- nil
		synctest.Wait()
		if w := r.waitsFor("u2"); w.Reason != metrics.WaitPaused || !w.Since.Equal(at) {
			t.Errorf("paused: %+v", w)
		}
		r.wantBlocked(map[string]float64{metrics.WaitPaused: 1})
		r.pipeline.Resume("d")
		verdicts <- nil
		verdicts <- nil
		r.nothingNoted()
	})
}

func TestWaitingBehindTheBreaker(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		var up atomic.Bool
		r := newRig(t, Destination{Breaker: attempt.Breaker{Initial: time.Minute}, Destination: &routertest.FuncDest{Name: "d",
			OnDeliver: func(context.Context, destinations.Delivery) error {
				if !up.Load() {
					return destinations.Unavailable(errors.New("answer 503"))
				}
				return nil
			}}})
		r.deliver("d", "u1", "e1")
		r.deliver("d", "u2", "e2")
		r.deliver("d", "u3", "e3", "e4")
		w := r.waitsFor("u3")
		s, _ := r.pipeline.Status("d")
		if w.Reason != metrics.WaitBreaker || w.Attempts != 0 || w.Next.IsZero() || !w.Next.Equal(s.Breaker.Until) {
			t.Errorf("breaker: %+v, until %s", w, s.Breaker.Until)
		}
		r.wantBlocked(map[string]float64{metrics.WaitBreaker: 1})
		if s.BlockedBy[metrics.WaitBreaker] != 1 || s.BlockedKeys != 1 {
			t.Errorf("status: %d, %v", s.BlockedKeys, s.BlockedBy)
		}
		blocked, all := r.pipeline.Blocked("d", 2)
		if all != 3 || len(blocked) != 2 { // the other two wait as well
			t.Errorf("%d wait: %+v", all, blocked)
		}
		up.Store(true)
		routertest.Elapse(5 * time.Minute)
		r.nothingNoted()
	})
}

func TestWaitingForTheRateLimit(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		r := newRig(t, Destination{Rate: attempt.RateLimit{PerSecond: 0.1, Burst: 1}, Destination: &routertest.FuncDest{Name: "d",
			OnDeliver: func(context.Context, destinations.Delivery) error { return nil }}})
		r.deliver("d", "u1", "e1", "e2", "e3")
		w := r.waitsFor("u1")
		if w.Reason != metrics.WaitRateLimit || w.EventID != "e2" || !w.Next.Equal(time.Now().Add(10*time.Second)) {
			t.Errorf("rate limit: %+v", w)
		}
		r.wantBlocked(map[string]float64{metrics.WaitRateLimit: 1})
		routertest.Elapse(time.Minute)
		r.nothingNoted()
	})
}

func TestWaitingForThePoisonQueue(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		r := newRig(t, Destination{Destination: &routertest.FuncDest{Name: "d",
			OnDeliver: func(_ context.Context, d destinations.Delivery) error {
				if d.EventID == "e1" {
					return destinations.Permanent(errors.New("answer 400"))
				}
				return nil
			}}})
		r.broker.pub.fails = 1
		r.deliver("d", "u1", "e1", "e2")
		w := r.waitsFor("u1")
		if w.Reason != metrics.WaitBroker || w.Attempts != 1 || !strings.Contains(w.Last, "answer 400") || !strings.Contains(w.Last, "broker says no") ||
			!w.Next.Equal(time.Now().Add(200*time.Millisecond)) {
			t.Errorf("poison queue: %+v", w)
		}
		r.wantBlocked(map[string]float64{metrics.WaitBroker: 1})
		routertest.Elapse(time.Second)
		r.nothingNoted()
		if got := r.pipeline.Recent("d", "e1", ""); len(got) != 1 || got[0].Outcome != metrics.Poisoned {
			t.Errorf("remembered: %+v", got)
		}
	})
}

func TestWaitingInABatch(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		verdicts := make(chan error)
		d := &routertest.Batches{FuncDest: routertest.FuncDest{Name: "d"}, OnBatch: func([]destinations.Delivery) error { return <-verdicts }}
		r := newRig(t, Destination{Destination: d, Concurrency: 1, Batch: attempt.Batch{MaxEvents: 3, MaxWait: time.Hour}, Retry: attempt.Retry{Initial: time.Minute}})
		r.deliver("d", "u1", "e1", "e2")
		w := r.waitsFor("u1")
		if w.Reason != metrics.WaitBatch || w.EventID != "e1" || w.Waiting != 1 || w.Behind[0].EventID != "e2" {
			t.Errorf("gathering: %+v", w)
		}
		r.deliver("d", "u2", "e3")
		r.deliver("d", "u2", "e4", "e5")
		if w = r.waitsFor("u1"); w.Reason != metrics.WaitAttempt || w.EventID != "e1" || w.Behind[0].EventID != "e2" {
			t.Errorf("in its attempt: %+v", w)
		}
		r.wantBlocked(map[string]float64{metrics.WaitAttempt: 1})
		r.deliver("d", "u3", "e6", "e7", "e8") // full, and there is no place
		if w = r.waitsFor("u3"); w.Reason != metrics.WaitSlot || w.EventID != "e6" || w.Waiting != 2 {
			t.Errorf("no place: %+v", w)
		}
		verdicts <- errors.New("answer 500")
		synctest.Wait()
		if w = r.waitsFor("u1"); w.Reason != metrics.WaitBackoff || w.EventID != "e1" || w.Attempts != 1 || w.Last != "answer 500" || w.Next.IsZero() {
			t.Errorf("came apart: %+v", w)
		}
		r.pipeline.Pause("d", Note{By: "ada"})
		verdicts <- nil // of u3
		routertest.Elapse(2 * time.Hour)
		if w = r.waitsFor("u1"); w.Reason != metrics.WaitPaused || w.Attempts != 1 || w.Last != "answer 500" {
			t.Errorf("came apart and paused: %+v", w)
		}
		r.pipeline.Resume("d")
		for len(r.pipeline.Waiting("d", "u1"))+len(r.pipeline.Waiting("d", "u2")) > 0 {
			select {
			case verdicts <- nil:
			case <-time.After(2 * time.Hour):
			}
		}
		r.nothingNoted()
	})
}

// What the transform stage cannot store is tried again in place.
func TestWaitingForTheBroker(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		r := newRig(t, Destination{Destination: &routertest.FuncDest{Name: "d", OnDeliver: func(context.Context, destinations.Delivery) error { return nil }}})
		r.broker.pub.fails = 1
		r.broker.subs[record.TransformGroup("d")].Ch <- routertest.Record("u1", "e1")
		synctest.Wait()
		all := r.pipeline.Waiting("d", "u1")
		if len(all) != 1 || all[0].Stage != record.StageTransform || all[0].Reason != metrics.WaitBroker || all[0].EventID != "e1" {
			t.Errorf("not stored: %+v", all)
		}
		routertest.Elapse(time.Second)
		if all := r.pipeline.Waiting("d", "u1"); len(all) != 0 {
			t.Errorf("stored: %+v", all)
		}
		r.nothingNoted()
	})
}

// Events of other programs have no key: each is its own.
func TestWaitingWithoutAKey(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		verdicts := make(chan error)
		r := newRig(t, Destination{Destination: &routertest.FuncDest{Name: "d",
			OnDeliver: func(context.Context, destinations.Delivery) error { return <-verdicts }}})
		msg := r.deliver("d", "", "e1")[0]
		all := r.pipeline.Waiting("d", record.OrderKey(msg))
		if len(all) != 1 || all[0].EventID != "e1" || all[0].Key != "" {
			t.Errorf("%+v", all)
		}
		verdicts <- nil
		r.nothingNoted()
	})
}

// 20 dead receivers with 20,000 users took 323,195 goroutines and 5.6 GB: a waiting
// delivery was three goroutines and 35 KB.
func TestWhatWaitsHasNoGoroutine(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		const users, concurrency = 5000, 16
		for name, fault := range map[string]error{"unavailable": destinations.Unavailable(routertest.ErrPlain), "later": destinations.RetryAfter(routertest.ErrPlain, time.Hour)} {
			r := newRig(t, Destination{Concurrency: concurrency, Breaker: attempt.Breaker{Failures: users}, Destination: &routertest.FuncDest{Name: "d",
				OnDeliver: func(context.Context, destinations.Delivery) error { return fault }}})
			before := runtime.NumGoroutine()
			for i := range users {
				r.broker.subs[record.DeliverGroup("d")].Ch <- routertest.Delivery(fmt.Sprint("u", i), fmt.Sprint("e", i))
			}
			synctest.Wait()
			if n := r.metric("eventserver_buffered_messages", nil); n != users {
				t.Errorf("%s: %v wait", name, n)
			}
			if n := runtime.NumGoroutine() - before; n > concurrency {
				t.Errorf("%s: %d goroutines more", name, n)
			}
		}
	})
}
