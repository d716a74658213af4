package router

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/infra/brokertest/inmemory"
	"eventserver/infra/pubsub"
	"eventserver/metrics"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// countingBroker counts who joins, so that a test sees that nobody else did.
type countingBroker struct {
	infra.Broker
	mu    sync.Mutex
	joins map[string]int // subscriptions, by group
	fail  map[string]int // joins to refuse, by group; -1: all
}

type countingSub struct {
	infra.Subscriber
	broker *countingBroker
	group  string
}

func (b *countingBroker) Subscriber(group string, cfg infra.SubscriberConfig) (infra.Subscriber, error) {
	s, err := b.Broker.Subscriber(group, cfg)
	return &countingSub{s, b, group}, err
}

func (s *countingSub) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.broker.mu.Lock()
	s.broker.joins[s.group]++
	refuse := s.broker.fail[s.group] != 0
	if refuse {
		s.broker.fail[s.group]--
	}
	s.broker.mu.Unlock()
	if refuse {
		return nil, routertest.ErrPlain
	}
	return s.Subscriber.Subscribe(ctx, topic)
}

func (b *countingBroker) joined(group string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.joins[group]
}

// sequence remembers what arrived, by key, and how often an event came after a
// later one of its key.
type sequence struct {
	mu      sync.Mutex
	last    map[string]int64
	seen    map[string]int
	repeats int
	wrong   []string
	more    chan struct{}
}

func newSequence() *sequence {
	return &sequence{last: map[string]int64{}, seen: map[string]int{}, more: make(chan struct{}, 1)}
}

func (s *sequence) take(d destinations.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, known := s.last[d.Key]
	s.seen[d.EventID]++
	switch {
	case known && d.Sequence < last && s.seen[d.EventID] == 1:
		s.wrong = append(s.wrong, fmt.Sprintf("%s (%d after %d)", d.EventID, d.Sequence, last))
	case s.seen[d.EventID] > 1:
		s.repeats++
	default:
		s.last[d.Key] = d.Sequence
	}
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// await returns when n different events have come.
func (s *sequence) await(t *testing.T, n int) {
	t.Helper()
	late := time.After(60 * time.Second)
	for {
		s.mu.Lock()
		got := len(s.seen)
		s.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-s.more:
		case <-late:
			t.Fatalf("%d of %d events arrived", got, n)
		}
	}
}

func (s *sequence) check(t *testing.T, what string, repeats bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.wrong) > 0 {
		t.Errorf("%s: out of order: %v", what, s.wrong)
	}
	if s.repeats > 0 && !repeats {
		t.Errorf("%s: %d events came again", what, s.repeats)
	}
}

func (s *sequence) destination(id string) Destination {
	return Destination{Kind: "test", Destination: &routertest.FuncDest{Name: id, OnDeliver: func(_ context.Context, d destinations.Delivery) error {
		s.take(d)
		return nil
	}}}
}

// liveRig is a pipeline on the memory broker.
type liveRig struct {
	*Pipeline
	broker *countingBroker
	ended  chan error
}

func newLiveRig(t *testing.T, dests ...Destination) *liveRig {
	t.Helper()
	mem := inmemory.Open(t, 3, pubsub.Config{NackDelay: time.Millisecond, WindowMessages: 50})
	r := &liveRig{broker: &countingBroker{Broker: mem, joins: map[string]int{}, fail: map[string]int{}}, ended: make(chan error, 1)}
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if r.Pipeline, err = New(Config{Broker: r.broker, Destinations: dests, Metrics: m}); err != nil {
		t.Fatal(err)
	}
	r.topics(t, "steady", "moving")
	go func() { r.ended <- r.Run(context.Background()) }()
	if err := r.Running(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.Drain(context.Background()), r.Close(), mem.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *liveRig) topics(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := r.broker.EnsureTopics(t.Context(), record.Topics(id)...); err != nil {
			t.Fatal(err)
		}
	}
}

// publish stores n events of five keys, from number from on.
func (r *liveRig) publish(t *testing.T, from, n int) {
	t.Helper()
	for i := range n {
		if err := r.broker.Publisher(infra.Durable).Publish(record.EventsTopic, routertest.Record(fmt.Sprint("k", (from+i)%5), fmt.Sprintf("e%05d", from+i))); err != nil {
			t.Error(err)
		}
	}
}

// Whatever is done to one destination, and in whatever order: it gets
// everything, in order, and the other sees none of it.
func TestChangesOfOneDestinationLoseNothingAndTouchNoOther(t *testing.T) {
	steady, moving := newSequence(), newSequence()
	r := newLiveRig(t, steady.destination("steady"), moving.destination("moving"))
	before := r.find("steady")
	const rounds, each = 40, 50
	rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	there := true
	for round := range rounds {
		go r.publish(t, round*each, each)
		var err error
		ctx := t.Context()
		if rng.IntN(4) == 0 { // a bound that cuts what is under way
			c, cancel := context.WithTimeout(ctx, time.Duration(rng.IntN(2))*time.Millisecond)
			defer cancel()
			ctx = c
		}
		switch op := rng.IntN(6); {
		case op == 0 && there:
			if err = r.Remove(ctx, "moving"); err == nil {
				there = false
			}
		case !there:
			if err = r.Add(t.Context(), moving.destination("moving")); err == nil {
				there = true
			}
		case op == 1:
			r.Pause("moving", Note{By: "test"})
		case op == 2:
			r.Resume("moving")
		case op == 3:
			err = errors.Join(r.Suspend(t.Context(), "moving", Note{}), r.Proceed(ctx, "moving"))
		default:
			err = r.Replace(ctx, moving.destination("moving"))
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		steady.await(t, (round+1)*each)
	}
	r.Resume("moving")
	if !there {
		if err := r.Add(t.Context(), moving.destination("moving")); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Proceed(t.Context(), "moving"); err != nil {
		t.Fatal(err)
	}
	moving.await(t, rounds*each)
	moving.check(t, "the changed destination", true) // a cut repeats
	steady.check(t, "the other", false)
	if r.find("steady") != before || r.broker.joined(record.TransformGroup("steady")) != 1 || r.broker.joined(record.DeliverGroup("steady")) != 1 {
		t.Errorf("the other destination was started again: it joined %d and %d times",
			r.broker.joined(record.TransformGroup("steady")), r.broker.joined(record.DeliverGroup("steady")))
	}
	if err := r.Ready(); err != nil {
		t.Error(err)
	}
}

// A replacement drains: an attempt under way comes to its end, and is made once.
func TestReplaceWaitsForAttempts(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	var once sync.Once
	calls := newSequence()
	slow := Destination{Destination: &routertest.FuncDest{Name: "moving", OnDeliver: func(ctx context.Context, d destinations.Delivery) error {
		once.Do(func() { close(began) })
		select {
		case <-finish:
			calls.take(d)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}}
	r := newLiveRig(t, slow)
	r.publish(t, 0, 5)
	<-began
	replaced := make(chan error, 1)
	go func() { replaced <- r.Replace(t.Context(), calls.destination("moving")) }()
	for s, _ := r.Status("moving"); s.State != StateStopping; s, _ = r.Status("moving") {
		<-time.After(time.Millisecond)
	}
	close(finish)
	if err := <-replaced; err != nil {
		t.Fatal(err)
	}
	calls.await(t, 5)
	calls.check(t, "a destination that was replaced", false)
}

// What cannot start leaves all as it was.
func TestAReplacementThatDoesNotStart(t *testing.T) {
	got := newSequence()
	r := newLiveRig(t, got.destination("moving"))
	r.topics(t, "new")
	r.broker.fail[record.DeliverGroup("new")] = -1
	if err := r.Add(t.Context(), got.destination("new")); !errors.Is(err, routertest.ErrPlain) {
		t.Errorf("Add that cannot join: %v", err)
	}
	if _, ok := r.Status("new"); ok {
		t.Error("a destination that did not start is listed")
	}
	r.broker.mu.Lock()
	r.broker.fail[record.DeliverGroup("moving")] = launchTries
	r.broker.mu.Unlock()
	if err := r.Replace(t.Context(), newSequence().destination("moving")); !errors.Is(err, routertest.ErrPlain) {
		t.Errorf("Replace that cannot join: %v", err)
	}
	r.publish(t, 0, 20)
	got.await(t, 20) // the old one goes on
	select {
	case err := <-r.ended:
		t.Errorf("the pipeline ended: %v", err)
	default:
	}
}

// A destination that runs and fails ends the pipeline, one that was added too.
func TestARouterThatFailsEndsThePipeline(t *testing.T) {
	r := newLiveRig(t, newSequence().destination("steady"))
	if err := r.Add(t.Context(), newSequence().destination("moving")); err != nil {
		t.Fatal(err)
	}
	_ = r.find("moving").deliver.source.Close() // its channel ends, and so does the router
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
}

// Changes, drain and close at the same time: everything ends, goleak says.
func TestCloseAmongChanges(t *testing.T) {
	for range 30 {
		got := newSequence()
		r := newLiveRig(t, got.destination("moving"), got.destination("steady"))
		var wg sync.WaitGroup
		r.publish(t, 0, 20)
		for _, f := range []func() error{
			func() error { return r.Replace(t.Context(), got.destination("moving")) },
			func() error { return r.Remove(t.Context(), "moving") },
			func() error { return r.Add(t.Context(), got.destination("moving")) },
			func() error {
				return errors.Join(r.Suspend(t.Context(), "moving", Note{}), r.Proceed(t.Context(), "moving"))
			},
			func() error { r.Pause("moving", Note{}); r.Status("moving"); r.Resume("moving"); return nil },
			func() error { return r.Drain(t.Context()) },
			func() error { <-time.After(rand.N(3 * time.Millisecond)); return r.Close() },
		} {
			wg.Go(func() { _ = f() })
		}
		wg.Wait()
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
		if err := r.Add(t.Context(), got.destination("late")); !errors.Is(err, ErrClosed) {
			t.Errorf("Add after Close: %v", err)
		}
	}
}
