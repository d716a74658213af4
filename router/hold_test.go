package router

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// badTransform is a destination whose transformation fails for everybody but the first,
// until it is mended.
type badTransform struct {
	routertest.FuncDest
	good  atomic.Bool
	tries atomic.Int32 // that failed
}

func newBadTransform() *badTransform {
	d := &badTransform{FuncDest: routertest.FuncDest{Name: "d"}}
	d.OnTransform = func(e destinations.Event) (destinations.Payload, error) {
		if e.Key != "first" && !d.good.Load() {
			d.tries.Add(1)
			return destinations.Payload{}, fmt.Errorf("no such key in %s", e.Data)
		}
		return destinations.Payload{Body: e.Data}, nil
	}
	return d
}

// held puts two events of each of 50 users on the events topic of a destination whose
// transformation fails.
func newHeld(t *testing.T, d Destination) (*rig, *badTransform, []*message.Message) {
	t.Helper()
	dest := newBadTransform()
	d.Destination = dest
	r := newRig(t, d)
	msgs := r.acceptEach(50)
	for n := range 50 {
		msgs = append(msgs, r.accept(fmt.Sprint("k", n), fmt.Sprint("k", n, "-1")))
	}
	return r, dest, msgs
}

// A transformation that fails for everybody after a change of the configuration would
// have emptied all that comes into the poison queue.
func TestABadTransformPoisonsNoBacklog(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		r, dest, msgs := newHeld(t, Destination{FloodGuard: 20, Breaker: attempt.Breaker{Initial: time.Second, Max: 10 * time.Second}})
		routertest.Elapse(time.Minute)
		if n := len(r.poisoned("d")); n > 19 {
			t.Fatalf("%d poisoned, want at most 19", n)
		}
		poisoned := len(r.poisoned("d"))
		tries := dest.tries.Load()
		routertest.Elapse(time.Hour)
		if n := dest.tries.Load() - tries; n < 350 || n > 370 {
			t.Errorf("%d probes in an hour, want one every 10 s", n)
		}
		s, _ := r.pipeline.Status("d")
		why := s.Why(time.Now())
		if s.State != StateHeld || s.Hold.Stage != record.StageTransform || len(s.Problems(time.Now())) != 1 || r.metric("eventserver_destination_held", nil) != 1 {
			t.Errorf("state %s, hold %+v, problems %q", s.State, s.Hold, s.Problems(time.Now()))
		}
		if !strings.HasPrefix(why, "held since ") || !strings.Contains(why, "transformation fails") || !strings.Contains(why, "no such key") || strings.Contains(why, "-0") {
			t.Errorf("why: %s", why)
		}
		w := r.pipeline.Waiting("d", fmt.Sprint("k", poisoned))
		if len(w) != 1 || w[0].Stage != record.StageTransform || w[0].Reason != metrics.WaitHeld || w[0].Next.IsZero() {
			t.Errorf("it waits for %+v", w)
		}
		dest.good.Store(true)
		routertest.Elapse(time.Minute)
		routertest.WantVerdicts(t, msgs, "acked")
		if n := len(r.stored()); n != 100-poisoned || len(r.poisoned("d")) != poisoned {
			t.Errorf("%d stored and %d poisoned, want %d and %d", n, len(r.poisoned("d")), 100-poisoned, poisoned)
		}
		if s, _ := r.pipeline.Status("d"); s.State != StateRunning || r.metric("eventserver_destination_held", nil) != 0 {
			t.Errorf("it is still %s", s.State)
		}
	})
}

// What fails in the run that holds the destination is not stored, all of it.
func TestARunThatHoldsPoisonsNothing(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		dest := newBadTransform()
		r, pub := newPickyRig(t, onTopicOfD("nobody"), Destination{Destination: dest, FloodGuard: 20})
		msgs := r.acceptEach(100)
		pub.start()
		routertest.Elapse(time.Second)
		routertest.WantVerdicts(t, msgs, "")
		if n := len(r.poisoned("d")); n != 0 {
			t.Errorf("%d poisoned", n)
		}
		dest.good.Store(true)
		w := r.pipeline.RetryWaits("d", func(string) bool { return true })
		if ended := r.pipeline.RetryNow("d", func(string) bool { return true }); !w.Pause || !ended.Pause {
			t.Errorf("retry ends %+v, said %+v", ended, w)
		}
		routertest.Elapse(0)
		routertest.WantVerdicts(t, msgs, "acked")
		if n := len(r.stored()); n != 100 || len(r.poisoned("d")) != 0 {
			t.Errorf("%d stored, %d poisoned", n, len(r.poisoned("d")))
		}
	})
}

func TestFailuresOfTransformationsAreAccepted(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		r, _, msgs := newHeld(t, Destination{FloodGuard: 20})
		routertest.Elapse(time.Second / 2)
		poisoned := len(r.poisoned("d"))
		if !r.pipeline.LetGo("d", false) {
			t.Error("it is not held")
		}
		routertest.Elapse(time.Second / 2)
		if n := len(r.poisoned("d")); n != poisoned {
			t.Errorf("%d poisoned by going on, want %d", n, poisoned)
		}
		if s, _ := r.pipeline.Status("d"); s.State != StateHeld {
			t.Errorf("it is %s again", s.State)
		}
		r.pipeline.LetGo("d", true)
		routertest.Elapse(0)
		routertest.WantVerdicts(t, msgs, "acked")
		if n := len(r.poisoned("d")); n != 100 {
			t.Errorf("%d poisoned, want all", n)
		}
		if r.pipeline.LetGo("d", false) {
			t.Error("it is held again")
		}
	})
}

func TestTheFloodGuardOfTransformationsIsOff(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		r, _, msgs := newHeld(t, Destination{})
		routertest.Elapse(0)
		routertest.WantVerdicts(t, msgs, "acked")
		if n := len(r.poisoned("d")); n != 100 {
			t.Errorf("%d poisoned, want all", n)
		}
	})
}

// Schemas and filters hold a destination as transformations do. Events that it does not
// want show nothing, and neither do deliveries: what it has goes out meanwhile.
func TestSchemasAndFiltersHold(t *testing.T) {
	fails := func(e destinations.Event) (bool, error) {
		if strings.HasPrefix(e.Key, "unwanted") {
			return false, nil
		}
		return false, routertest.ErrPlain
	}
	for name, d := range map[string]Destination{
		"input":  {Input: func(context.Context, string, []byte) (string, error) { return "", routertest.ErrPlain }},
		"filter": {Filter: filterFunc(fails)},
		"output": {Output: func(context.Context, string, []byte) (string, error) { return "", routertest.ErrPlain }},
	} {
		t.Run(name, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				delivered := 0
				d.Destination = &routertest.FuncDest{Name: "d", OnDeliver: func(context.Context, destinations.Delivery) error { delivered++; return nil }}
				d.FloodGuard = 20
				r := newRig(t, d)
				for n := range 50 {
					r.accept(fmt.Sprint("k", n), fmt.Sprint("k", n, "-0"))
					if name == "filter" {
						r.accept(fmt.Sprint("unwanted", n), fmt.Sprint("u", n))
					}
					r.deliver("d", "other", fmt.Sprint("o", n))
				}
				routertest.Elapse(time.Second)
				s, _ := r.pipeline.Status("d")
				if n := len(r.poisoned("d")); n != 19 || s.State != StateHeld || delivered != 50 {
					t.Errorf("%d poisoned, state %s, %d delivered; want 19, held, 50", n, s.State, delivered)
				}
			})
		})
	}
}

// One user whose events all fail, many among others whose events do not, and records that
// another program wrote hold nothing.
func TestBadEventsHoldNoTransformation(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		d := &routertest.FuncDest{Name: "d", OnTransform: func(e destinations.Event) (destinations.Payload, error) {
			if strings.HasPrefix(e.Key, "bad") {
				return destinations.Payload{}, routertest.ErrPlain
			}
			return destinations.Payload{Body: e.Data}, nil
		}}
		r := newRig(t, Destination{Destination: d, FloodGuard: 20})
		var msgs []*message.Message
		for n := range 100 {
			msgs = append(msgs, r.accept("bad", fmt.Sprintf("a%02d", n)))
		}
		for n := range 100 {
			msgs = append(msgs, r.accept(fmt.Sprint("bad", n), fmt.Sprintf("b%02d", n)), r.accept("good", fmt.Sprintf("g%02d", n)))
		}
		for n := range 100 {
			m := routertest.Received(message.NewMessage("foreign", nil))
			m.Metadata = message.Metadata{infra.MetaKey: fmt.Sprint("foreign", n)}
			msgs = append(msgs, m)
			r.broker.subs[record.TransformGroup("d")].Ch <- m
		}
		routertest.Elapse(0)
		routertest.WantVerdicts(t, msgs, "acked")
		if n := len(r.poisoned("d")); n != 300 || len(r.stored()) != 100 {
			t.Errorf("%d poisoned, %d stored; want 300 and 100", n, len(r.stored()))
		}
	})
}

// A stop during a hold gives its run back.
func TestDrainDuringAHold(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		r, _, msgs := newHeld(t, Destination{FloodGuard: 20})
		routertest.Elapse(time.Minute)
		poisoned := len(r.poisoned("d"))
		if err := r.pipeline.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		routertest.Elapse(0)
		routertest.WantVerdicts(t, msgs[poisoned:], "nacked")
		if n := len(r.poisoned("d")); n != poisoned {
			t.Errorf("%d poisoned by the stop", n-poisoned)
		}
	})
}

// A probe that does not return in time has failed, and another follows.
func TestAProbeThatHangs(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		d := newBadTransform()
		fails := d.OnTransform
		var hangs atomic.Bool
		d.OnTransform = func(e destinations.Event) (destinations.Payload, error) {
			if hangs.Load() {
				<-time.After(time.Minute)
			}
			return fails(e)
		}
		r, pub := newPickyRig(t, onTopicOfD("nobody"), Destination{Destination: d, FloodGuard: 20, Timeout: 5 * time.Second})
		msgs := r.acceptEach(30)
		pub.start()
		routertest.Elapse(time.Second / 2)
		hangs.Store(true)
		routertest.Elapse(7 * time.Second)
		if s, _ := r.pipeline.Status("d"); !strings.Contains(s.Hold.Cause, "it did not return within 5s") {
			t.Errorf("held because %q", s.Hold.Cause)
		}
		hangs.Store(false)
		d.good.Store(true)
		routertest.Elapse(2 * time.Minute)
		routertest.WantVerdicts(t, msgs, "acked")
		if n := len(r.stored()); n != 30 {
			t.Errorf("%d stored", n)
		}
	})
}

// storedRun is the owner of a run of partitions, and what it is told.
type storedRun struct {
	aside  bool
	made   atomic.Int32
	done   []int32
	stored []string // topic and event
}

func (s *storedRun) Made(*infra.Part, *message.Message) bool { s.made.Add(1); return false }
func (s *storedRun) Aside()                                  { s.aside = true }

func (s *storedRun) Store(out []infra.Output, done ...*infra.Part) error {
	for _, o := range out {
		s.stored = append(s.stored, o.Topic+" "+o.Message.UUID)
	}
	for _, p := range done {
		s.done = append(s.done, p.Partition)
	}
	return nil
}

// A partition of which nothing has failed goes on during a hold.
func TestAHoldLetsOtherPartitionsGoOn(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		dest := newBadTransform()
		r := newRig(t, Destination{Destination: dest, FloodGuard: 2})
		running := r.pipeline.find("d")
		tr := &transformer{dest: &running.dest, storing: r.pipeline.storing, stored: func(time.Time, error) {}, metrics: running.metrics,
			poison: &attempt.PoisonQueue{Destination: "d", Stage: record.StageTransform, Metrics: running.metrics, Log: routertest.Discard, Recent: &running.recent},
			waits:  &runWaits{}, hold: running.hold, ahead: &attempt.Backpressure{}, draining: make(chan struct{}), log: routertest.Discard}
		good := &infra.Part{Partition: 1, Messages: []*message.Message{routertest.Record("first", "f")}}
		bad := &infra.Part{Partition: 2, Messages: []*message.Message{routertest.Record("k1", "k1-0"), routertest.Record("k2", "k2-0"), routertest.Record("first", "g"), routertest.Record("k1", "k1-1"), routertest.Record("k2", "k2-1")}}
		s := &storedRun{}
		ended := make(chan error, 1)
		go func() {
			ended <- newWork(tr, &infra.Run{Parts: []*infra.Part{good, bad}, RunOwner: s}).finish(t.Context())
		}()
		routertest.Elapse(time.Second / 2)
		if !s.aside || !slices.Equal(s.done, []int32{1}) || !slices.Equal(s.stored, []string{tr.topic() + " f"}) {
			t.Errorf("aside %v, done %v, stored %v", s.aside, s.done, s.stored)
		}
		routertest.Elapse(time.Hour)
		if made := s.made.Load(); made != 6 {
			t.Errorf("%d messages are charged after an hour of probes, want 6", made)
		}
		dest.good.Store(true)
		routertest.Elapse(time.Minute)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		var ids []string
		for _, id := range s.stored {
			ids = append(ids, strings.TrimPrefix(id, tr.topic()+" "))
		}
		if got := strings.Join(ids, " "); got != "f k1-0 k2-0 g k1-1 k2-1" || !slices.Equal(s.done, []int32{1, 2}) {
			t.Errorf("stored %s, done %v", got, s.done)
		}
	})
}
