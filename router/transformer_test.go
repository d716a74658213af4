package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// pickyPub stores what it is given but for what it refuses, as when one
// partition of a topic has no leader. It begins when it is told to: what a test
// sends before, behind the first event, gathers in one run.
type pickyPub struct {
	*fakePub
	begin  chan struct{}
	refuse func(topic, key string) bool
	with   error       // of a refusal
	away   atomic.Bool // what it refuses

	asked struct {
		sync.Mutex
		ids [][]string // of each publish on the destination's topic
	}
}

func (p *pickyPub) Publish(topic string, msgs ...*message.Message) error {
	<-p.begin
	if topic == record.DestinationTopic("d") {
		var ids []string
		for _, m := range msgs {
			ids = append(ids, m.UUID)
		}
		p.asked.Lock()
		p.asked.ids = append(p.asked.ids, ids)
		p.asked.Unlock()
	}
	var stored, failed []*message.Message
	for _, m := range msgs {
		if p.away.Load() && p.refuse(topic, m.Metadata.Get(infra.MetaKey)) {
			failed = append(failed, m)
		} else {
			stored = append(stored, m)
		}
	}
	if len(stored) == 0 {
		return p.with
	}
	if err := p.fakePub.Publish(topic, stored...); err != nil || len(failed) == 0 {
		return err
	}
	return &infra.PublishError{Failed: failed, Err: p.with}
}

// start lets it begin. All that was sent has arrived.
func (p *pickyPub) start() {
	synctest.Wait()
	close(p.begin)
}

// publishes are the ids of each publish on the destination's topic, without
// that of the first event.
func (p *pickyPub) publishes() [][]string {
	p.asked.Lock()
	defer p.asked.Unlock()
	return slices.DeleteFunc(slices.Clone(p.asked.ids), func(ids []string) bool { return ids[0] == "first-0" })
}

type pickyBroker struct {
	*fakeBroker
	pub *pickyPub
}

func (b *pickyBroker) Publisher(infra.Durability) message.Publisher { return b.pub }

func (b *pickyBroker) Subscriber(group string, cfg infra.SubscriberConfig) (infra.Subscriber, error) {
	s, err := b.fakeBroker.Subscriber(group, cfg)
	if runs, ok := s.(*runSub); ok {
		runs.pub = b.pub
	}
	return s, err
}

// newPickyRig runs destination d, whose publisher refuses what refuse says. The
// first event's run is being stored.
func newPickyRig(t *testing.T, refuse func(topic, key string) bool, d Destination) (*rig, *pickyPub) {
	t.Helper()
	r := &rig{T: t, broker: &fakeBroker{pub: &fakePub{}, subs: map[string]*routertest.ChanSub{}}, registry: prometheus.NewRegistry()}
	pub := &pickyPub{fakePub: r.broker.pub, begin: make(chan struct{}), refuse: refuse, with: routertest.ErrPlain}
	pub.away.Store(true)
	m, err := metrics.New(r.registry)
	if err != nil {
		t.Fatal(err)
	}
	if r.pipeline, err = New(Config{Broker: &pickyBroker{r.broker, pub}, Destinations: []Destination{d}, Metrics: m}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.pipeline.Run(context.Background()) }()
	if err := r.pipeline.Running(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.pipeline.Drain(context.Background()), r.pipeline.Close(), <-ended); err != nil {
			t.Error(err)
		}
	})
	r.accept("first", "first-0")
	return r, pub
}

// accept puts an event on the events topic.
func (r *rig) accept(key, id string) *message.Message {
	m := routertest.Record(key, id)
	r.broker.subs[record.TransformGroup("d")].Ch <- m
	return m
}

// acceptEach puts the first event of a number of users there: k0-0, k1-0 and so on.
func (r *rig) acceptEach(users int) []*message.Message {
	msgs := make([]*message.Message, users)
	for n := range msgs {
		msgs[n] = r.accept(fmt.Sprint("k", n), fmt.Sprint("k", n, "-0"))
	}
	return msgs
}

// stored is how often each event but the first is on the destination's topic. Each
// user's events are there in order, each once.
func (r *rig) stored() map[string]int {
	r.Helper()
	times, last := map[string]int{}, map[string]string{}
	for _, m := range r.broker.pub.of(record.DestinationTopic("d")) {
		key := m.Metadata.Get(infra.MetaKey)
		if m.UUID <= last[key] {
			r.Errorf("%s came behind %s", m.UUID, last[key])
		}
		last[key] = m.UUID
		times[m.UUID]++
	}
	delete(times, "first-0")
	return times
}

func onTopicOfD(key string) func(topic, of string) bool {
	return func(topic, of string) bool {
		return topic == record.DestinationTopic("d") && strings.HasPrefix(of, key)
	}
}

// Of a run the broker took all but one record. The others are not stored again while
// that one cannot be, and the run is done once it is.
func TestRunIsStoredInPart(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		r, pub := newPickyRig(t, onTopicOfD("k3"), Destination{Destination: &routertest.FuncDest{Name: "d"}})
		msgs := append(r.acceptEach(10), r.accept("k5", "k5-1"))
		pub.start()
		routertest.Elapse(time.Minute)
		if got := pub.publishes(); len(got) < 2 || len(got[0]) != 11 || !slices.Equal(got[len(got)-1], []string{"k3-0"}) {
			t.Errorf("tried: %v; want the run, then what is left of it", got)
		}
		routertest.WantVerdicts(t, msgs, "")
		if got := r.stored(); len(got) != 10 || got["k3-0"] != 0 {
			t.Errorf("stored while one cannot be: %v", got)
		}
		pub.away.Store(false)
		routertest.Elapse(time.Minute)
		routertest.WantVerdicts(t, msgs, "acked")
		if got := r.stored(); len(got) != 11 {
			t.Errorf("stored in the end: %v", got)
		}
	})
}

// The broker took nothing of a run: it is tried again whole, less and less often, and
// is not transformed again. What of it was skipped is counted once.
func TestRunThatCannotBeStoredIsTriedWhole(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		var transforms atomic.Int32
		d := &routertest.FuncDest{Name: "d", OnTransform: func(e destinations.Event) (destinations.Payload, error) {
			transforms.Add(1)
			if strings.HasPrefix(e.Key, "unwanted") {
				return destinations.Payload{}, destinations.ErrSkip
			}
			return destinations.Payload{Body: e.Data}, nil
		}}
		r, pub := newPickyRig(t, onTopicOfD("k"), Destination{Destination: d})
		msgs := append(r.acceptEach(5), r.accept("unwanted1", "unwanted1-0"), r.accept("unwanted2", "unwanted2-0"))
		pub.start()
		routertest.Elapse(time.Minute)
		routertest.WantVerdicts(t, msgs, "")
		pub.away.Store(false)
		routertest.Elapse(time.Minute)
		routertest.WantVerdicts(t, msgs, "acked")
		r.stored()
		tries := pub.publishes()
		if len(tries) < 10 || len(tries) > 60 {
			t.Errorf("tried %d times in a minute", len(tries))
		}
		for _, ids := range tries {
			if len(ids) != 5 {
				t.Errorf("tried in part: %v", ids)
			}
		}
		if n := r.metric("eventserver_deliveries_total", map[string]string{"outcome": metrics.Skipped}); n != 2 {
			t.Errorf("%v counted as skipped, want 2", n)
		}
		if n := transforms.Load(); n != 8 {
			t.Errorf("%d transformations of 8 events", n)
		}
	})
}

// newFailing is a destination that fails to transform event k3-0.
func newFailing() *routertest.FuncDest {
	return &routertest.FuncDest{Name: "d", OnTransform: func(e destinations.Event) (destinations.Payload, error) {
		if e.ID == "k3-0" {
			return destinations.Payload{}, routertest.ErrPlain
		}
		return destinations.Payload{Body: e.Data}, nil
	}}
}

func poisonOfD(topic, _ string) bool { return topic == record.PoisonTopic("d") }

// One event failed its transformation while the poison queue could not be written.
// The others of its run are stored all the same, once.
func TestPoisonQueueAway(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		r, pub := newPickyRig(t, poisonOfD, Destination{Destination: newFailing()})
		msgs := append(r.acceptEach(20), r.accept("k3", "k3-1"))
		pub.start()
		routertest.Elapse(time.Minute)
		routertest.WantVerdicts(t, msgs, "")
		if got := r.stored(); len(got) != 20 {
			t.Errorf("stored meanwhile: %v", got)
		}
		if w := r.pipeline.Waiting("d", "k3"); len(w) != 1 || w[0].Stage != record.StageTransform || w[0].Reason != metrics.WaitBroker {
			t.Errorf("it waits for %+v, want the broker", w)
		}
		pub.away.Store(false)
		routertest.Elapse(time.Minute)
		routertest.WantVerdicts(t, msgs, "acked")
		if got := r.poisoned("d"); len(got) != 1 || got[0].EventID != "k3-0" || got[0].Stage != record.StageTransform {
			t.Errorf("poisoned %+v, want k3-0 alone", got)
		}
		if got := r.stored(); len(got) != 20 {
			t.Errorf("stored in the end: %v", got)
		}
	})
}

// A stop while a run cannot be stored gives it back.
func TestDrainWhileARunCannotBeStored(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		r, pub := newPickyRig(t, onTopicOfD("k"), Destination{Destination: &routertest.FuncDest{Name: "d"}})
		msgs := r.acceptEach(20)
		pub.start()
		routertest.Elapse(time.Minute)
		if err := r.pipeline.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		routertest.Elapse(0)
		routertest.WantVerdicts(t, msgs, "nacked")
		if got := r.stored(); len(got) != 0 {
			t.Errorf("stored: %v", got)
		}
	})
}

// A transformation that does not return in time is given up, and those behind it go
// on. One that returns later changes nothing.
func TestSlowTransformIsGivenUp(t *testing.T) {
	for name, at := range map[string]int{"first of its run": 0, "in the middle": 10, "last": 19} {
		t.Run(name, func(t *testing.T) {
			routertest.Run(t, func(t *testing.T) {
				slow := fmt.Sprint("k", at, "-0")
				d := &routertest.FuncDest{Name: "d", OnTransform: func(e destinations.Event) (destinations.Payload, error) {
					if e.ID == slow {
						<-time.After(30 * time.Second)
					}
					return destinations.Payload{Body: e.Data}, nil
				}}
				r, pub := newPickyRig(t, onTopicOfD("nobody"), Destination{Destination: d, Timeout: 5 * time.Second})
				msgs := append(r.acceptEach(20), r.accept(fmt.Sprint("k", at), fmt.Sprint("k", at, "-1")))
				pub.start()
				routertest.Elapse(time.Second)
				routertest.WantVerdicts(t, msgs, "")
				if w := r.pipeline.Waiting("d", fmt.Sprint("k", at)); len(w) != 1 || w[0].Stage != record.StageTransform || w[0].Reason != metrics.WaitAttempt {
					t.Errorf("it waits for %+v, want its transformation", w)
				}
				routertest.Elapse(5 * time.Second)
				routertest.WantVerdicts(t, msgs, "acked")
				routertest.Elapse(time.Minute)
				if got := r.stored(); len(got) != 20 || got[slow] != 0 {
					t.Errorf("stored: %v", got)
				}
				if got := r.poisoned("d"); len(got) != 1 || got[0].EventID != slow || got[0].Reason != metrics.ReasonTransform || got[0].Detail != "transform: it did not return within 5s" {
					t.Errorf("poisoned %+v", got)
				}
			})
		})
	}
}

// What the broker finds too large is given up by itself, and nothing is checked or
// transformed twice for it.
func TestTooLargeInARun(t *testing.T) {
	routertest.Run(t, func(t *testing.T) {
		var mu sync.Mutex
		inputs, transforms, outputs := map[string]int{}, map[string]int{}, map[string]int{}
		count := func(of map[string]int, id string) {
			mu.Lock()
			of[id]++
			mu.Unlock()
		}
		d := &routertest.FuncDest{Name: "d", OnTransform: func(e destinations.Event) (destinations.Payload, error) {
			count(transforms, string(e.Data))
			return destinations.Payload{Body: e.Data}, nil
		}}
		r, pub := newPickyRig(t, onTopicOfD("k3"), Destination{Destination: d, OutputType: "out",
			Input: func(_ context.Context, _ string, data []byte) (string, error) {
				count(inputs, string(data))
				if strings.Contains(string(data), "k4-") {
					return "", routertest.ErrPlain
				}
				return "", nil
			},
			Output: func(_ context.Context, _ string, data []byte) (string, error) {
				count(outputs, string(data))
				return "", nil
			},
		})
		pub.with = infra.ErrTooLarge
		msgs := r.acceptEach(6)
		pub.start()
		routertest.Elapse(time.Minute)
		routertest.WantVerdicts(t, msgs, "acked")
		for n, m := range msgs {
			want := 1
			if n == 4 {
				want = 0 // it did not pass
			}
			id := string(m.Payload)
			if inputs[id] != 1 || transforms[id] != want || outputs[id] != want {
				t.Errorf("%s: %d input checks, %d transformations, %d output checks", id, inputs[id], transforms[id], outputs[id])
			}
		}
		if got := r.stored(); len(got) != 4 {
			t.Errorf("stored: %v", got)
		}
		reasons := map[string]string{}
		for _, g := range r.poisoned("d") {
			reasons[g.EventID] = g.Reason
		}
		if want := map[string]string{"k3-0": metrics.ReasonTransform, "k4-0": metrics.ReasonSchema}; fmt.Sprint(reasons) != fmt.Sprint(want) {
			t.Errorf("poisoned %v, want %v", reasons, want)
		}
	})
}
