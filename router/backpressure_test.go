package router

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
	"eventserver/metrics"
)

// downDest answers with err until it is up.
func downDest(err error) (d *funcDest, up *atomic.Bool) {
	up = &atomic.Bool{}
	return &funcDest{id: "d", deliver: func(context.Context, destinations.Delivery) error {
		if up.Load() {
			return nil
		}
		return err
	}}, up
}

// readMost is what the transform stage was told to read at most; 0: it has no bound.
func (r *rig) readMost() int64 { return r.broker.subs[TransformGroup("d")].most.Load() }

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
		metrics.WaitPaused: nil, metrics.WaitBreaker: destinations.Unavailable(errPlain), metrics.WaitHeld: destinations.Permanent(errPlain),
	} {
		t.Run(reason, func(t *testing.T) {
			run(t, func(t *testing.T) {
				d, up := downDest(fault)
				r := newRig(t, Destination{Destination: d, FloodGuard: 5, Breaker: Breaker{Max: time.Minute}})
				if fault == nil {
					up.Store(true)
					r.pipeline.Pause("d", Note{})
				}
				r.deliverEach(10)
				msgs := r.acceptEach(users)
				elapse(time.Minute)
				if n := len(r.stored()); n < aheadMost || n >= aheadMost+transformRuns.Messages {
					t.Errorf("%d deliveries are stored ahead", n)
				}
				if n := r.readMost(); n != 1 {
					t.Errorf("it reads up to %d messages", n)
				}
				last := fmt.Sprint("k", len(r.stored()))
				if w := r.pipeline.Waiting("d", last); len(w) != 1 || w[0].Stage != stageTransform || w[0].Reason != reason {
					t.Errorf("%s waits for %+v", last, w)
				}
				if s, _ := r.pipeline.Status("d"); s.Waits != reason {
					t.Errorf("its transform stage waits for %q", s.Waits)
				}
				up.Store(true)
				r.pipeline.Resume("d")
				elapse(2 * time.Minute)
				wantVerdicts(t, msgs, "acked")
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
	run(t, func(t *testing.T) {
		d, _ := downDest(nil)
		r := newRig(t, Destination{Destination: d})
		r.pipeline.Pause("d", Note{})
		msgs := r.acceptEach(3000)
		elapse(time.Minute)
		wantVerdicts(t, msgs, "acked")
	})
}

// A run that waits for the destination goes back to the broker when the pipeline drains.
func TestDrainWhileTransformWaits(t *testing.T) {
	run(t, func(t *testing.T) {
		d, _ := downDest(nil)
		r := newRig(t, Destination{Destination: d})
		r.pipeline.Pause("d", Note{})
		r.deliverEach(1)
		msgs := r.acceptEach(3000)
		elapse(time.Minute)
		done := len(r.stored())
		if err := r.pipeline.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		elapse(0)
		wantVerdicts(t, msgs[:done], "acked")
		for _, m := range []*message.Message{msgs[done], msgs[len(msgs)-1]} {
			if got := verdict(m); got == "acked" {
				t.Errorf("%s is %s", m.UUID, got)
			}
		}
		if n := len(r.stored()); n != done {
			t.Errorf("%d stored by the drain", n-done)
		}
	})
}
