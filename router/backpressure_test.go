package router

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// downDest answers with err until it is up.
func downDest(err error) (d *routertest.FuncDest, up *atomic.Bool) {
	up = &atomic.Bool{}
	return &routertest.FuncDest{Name: "d", OnDeliver: func(context.Context, destinations.Delivery) error {
		if up.Load() {
			return nil
		}
		return err
	}}, up
}

// readMost is what the transform stage was told to read at most; 0: it has no bound.
func (r *rig) readMost() int64 { return r.broker.subs[record.TransformGroup("d")].Most.Load() }

// deliverEach hands out the first event of a number of users.
func (r *rig) deliverEach(users int) {
	for n := range users {
		r.deliver("d", fmt.Sprint("waiting", n), fmt.Sprint("waiting", n, "-0"))
	}
}

// Twenty destinations that were down stored twenty copies of every event. Ingest and the
// destinations that were up paid for that.
func TestNothingIsTransformedFarAhead(t *testing.T) {
	const users = 3000
	for reason, fault := range map[string]error{
		metrics.WaitPaused: nil, metrics.WaitBreaker: destinations.Unavailable(routertest.ErrPlain), metrics.WaitHeld: destinations.Permanent(routertest.ErrPlain),
	} {
		t.Run(reason, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				d, up := downDest(fault)
				r := newRig(t, Destination{Destination: d, FloodGuard: 5, Breaker: attempt.Breaker{Max: time.Minute}})
				if fault == nil {
					up.Store(true)
					r.pipeline.Pause("d", Note{})
				}
				r.deliverEach(10)
				msgs := r.acceptEach(users)
				routertest.Elapse(time.Minute)
				if n := len(r.stored()); n < 1000 || n >= 1000+transformRuns.Messages {
					t.Errorf("%d deliveries are stored ahead", n)
				}
				if n := r.readMost(); n != 1 {
					t.Errorf("it reads up to %d messages", n)
				}
				last := fmt.Sprint("k", len(r.stored()))
				if w := r.pipeline.Waiting("d", last); len(w) != 1 || w[0].Stage != record.StageTransform || w[0].Reason != reason {
					t.Errorf("%s waits for %+v", last, w)
				}
				if s, _ := r.pipeline.Status("d"); s.Waits != reason {
					t.Errorf("its transform stage waits for %q", s.Waits)
				}
				if fault != nil { // the run told the reason before
					r.pipeline.Pause("d", Note{})
					routertest.Elapse(0)
					if w := r.pipeline.Waiting("d", last); len(w) != 1 || w[0].Reason != metrics.WaitPaused {
						t.Errorf("paused, %s waits for %+v", last, w)
					}
				}
				up.Store(true)
				r.pipeline.Resume("d")
				routertest.Elapse(2 * time.Minute)
				routertest.WantVerdicts(t, msgs, "acked")
				if n := len(r.stored()); n != users || r.readMost() != 0 {
					t.Errorf("%d of %d are stored in the end, and it reads up to %d messages", n, users, r.readMost())
				}
				if s, _ := r.pipeline.Status("d"); s.Waits != "" {
					t.Errorf("its transform stage waits for %q in the end", s.Waits)
				}
			})
		})
	}
}

// Without a delivery there is no probe: a breaker that opened before all partitions went
// elsewhere would stay open for ever.
func TestTransformGoesOnWhereNoDeliveryWaits(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		d, _ := downDest(nil)
		r := newRig(t, Destination{Destination: d})
		r.pipeline.Pause("d", Note{})
		msgs := r.acceptEach(3000)
		routertest.Elapse(time.Minute)
		routertest.WantVerdicts(t, msgs, "acked")
	})
}

// All partitions of a stopped destination went to other processes. The stage was not told,
// because it looked before the deliveries were counted as given back.
func TestTransformGoesOnWhenThePartitionsGo(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		d, _ := downDest(nil)
		r := newRig(t, Destination{Destination: d})
		r.pipeline.Pause("d", Note{})
		owned, end, _ := routertest.Claim(t)
		for n := range 10 {
			r.broker.subs[record.DeliverGroup("d")].Ch <- routertest.Within(owned, routertest.Delivery(fmt.Sprint("waiting", n), fmt.Sprint("waiting", n, "-0")))
		}
		msgs := r.acceptEach(3000)
		routertest.Elapse(0)
		if r.readMost() != 1 {
			t.Fatal("it is not stopped")
		}
		end()
		routertest.Elapse(0)
		routertest.WantVerdicts(t, msgs, "acked")
	})
}

// handOn lets time pass and hands the deliver stage what is stored for it, from the nth on.
func (r *rig) handOn(n int, d time.Duration) int {
	for end := time.Now().Add(d); time.Now().Before(end); routertest.Elapse(10 * time.Millisecond) {
		for _, m := range r.broker.pub.of(record.DestinationTopic("d"))[n:] {
			r.broker.subs[record.DeliverGroup("d")].Ch <- routertest.Received(m)
			n++
		}
	}
	return n
}

// A thousand deliveries were made ahead, all of them of users whose events fail for ever.
// No event of anybody else was transformed again, and the destination stayed closed.
func TestUsersWhoFailKeepNobodyFromBeingTransformed(t *testing.T) {
	each := func(user, events int) []string { return slices.Repeat([]string{fmt.Sprint("bad", user)}, events) }
	var many, few []string
	for user := range 1500 {
		many = append(many, each(user, 1)...)
	}
	few = slices.Concat(each(0, 1), each(1, 1500))
	for name, c := range map[string]struct {
		keys  []string
		fault error
	}{
		"many, unavailable": {many, destinations.Unavailable(routertest.ErrPlain)},
		"many, refused":     {many, destinations.Permanent(routertest.ErrPlain)},
		"two, unavailable":  {few, destinations.Unavailable(routertest.ErrPlain)},
	} {
		t.Run(name, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				var good atomic.Bool
				d := &routertest.FuncDest{Name: "d", OnDeliver: func(_ context.Context, d destinations.Delivery) error {
					if d.Key == "good" {
						good.Store(true)
						return nil
					}
					return c.fault
				}}
				pause := 10 * time.Millisecond
				r := newRig(t, Destination{Destination: d, FloodGuard: 5, Retry: attempt.Retry{Max: pause}, Breaker: attempt.Breaker{Initial: pause, Max: pause}})
				handed := 0
				for n, key := range c.keys {
					r.accept(key, fmt.Sprintf("%s-%04d", key, n))
					if n == 9 {
						handed = r.handOn(0, time.Second)
					}
				}
				r.accept("good", "good-0")
				routertest.Elapse(0)
				if good.Load() || r.readMost() != 1 {
					t.Fatal("it is not stopped")
				}
				r.handOn(handed, time.Minute)
				if !good.Load() {
					t.Errorf("of %d, %d are stored", len(c.keys)+1, len(r.stored()))
				}
			})
		})
	}
}

// A run that waits for the destination goes back to the broker when the pipeline drains.
func TestDrainWhileTransformWaits(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		d, _ := downDest(nil)
		r := newRig(t, Destination{Destination: d})
		r.pipeline.Pause("d", Note{})
		r.deliverEach(1)
		msgs := r.acceptEach(3000)
		routertest.Elapse(time.Minute)
		done := len(r.stored())
		if err := r.pipeline.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		routertest.Elapse(0)
		routertest.WantVerdicts(t, msgs[:done], "acked")
		for _, m := range []*message.Message{msgs[done], msgs[len(msgs)-1]} {
			if got := routertest.Verdict(m); got == "acked" {
				t.Errorf("%s is %s", m.UUID, got)
			}
		}
		if n := len(r.stored()); n != done {
			t.Errorf("%d stored by the drain", n-done)
		}
	})
}
