package router

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errPlain = errors.New("it did not work")
	discard  = slog.New(slog.DiscardHandler)
)

// record is what the events topic holds for one event of a key.
func recordOf(key, id string) *message.Message {
	return received(record.EncodeEvent(destinations.Event{ID: id, Key: key, Type: "t", ReceivedAt: time.Now(), Data: []byte(`{"id":"` + id + `"}`)}))
}

// delivery is what a destination's topic holds for one event of a key.
func delivery(key, id string) *message.Message {
	e := destinations.Event{ID: id, Key: key, Type: "t", ReceivedAt: time.Now()}
	return received(record.EncodeDelivery(e, destinations.Payload{ContentType: "application/json", Body: []byte(`{"id":"` + id + `"}`)}, 7))
}

// received is a message as a subscriber hands it out: it can be waited for.
func received(m *message.Message) *message.Message {
	r := message.NewMessage(m.UUID, m.Payload)
	r.Metadata = m.Metadata
	return r
}

// verdict of a message: "" while it has none.
func verdict(m *message.Message) string {
	select {
	case <-m.Acked():
		return "acked"
	default:
	}
	select {
	case <-m.Nacked():
		return "nacked"
	default:
		return ""
	}
}

func wantVerdict(tb testing.TB, m *message.Message, want string) {
	tb.Helper()
	if got := verdict(m); got != want {
		tb.Errorf("message %s: got %q, want %q", m.UUID, got, want)
	}
}

// chanSub is a subscriber that is a channel.
type chanSub struct {
	ch   chan *message.Message
	once sync.Once
	away atomic.Bool  // it has no part in its group
	most atomic.Int64 // that it may hand out; 0: no bound
}

func newChanSub() *chanSub { return &chanSub{ch: make(chan *message.Message)} }

func (s *chanSub) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return s.ch, nil
}
func (s *chanSub) Assigned() bool              { return !s.away.Load() }
func (s *chanSub) Drain(context.Context) error { return nil }
func (s *chanSub) Stats() (none infra.Stats)   { return none }
func (s *chanSub) Deferred(string) int         { return 0 }
func (s *chanSub) Bound(messages int)          { s.most.Store(int64(messages)) }
func (s *chanSub) Close() error                { s.once.Do(func() { close(s.ch) }); return nil }

// runSub makes runs of what comes on its channel: what comes while one is in the
// handler gathers in the next.
type runSub struct {
	*chanSub
	most int
	pub  message.Publisher
}

func (s *runSub) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	in, err := s.chanSub.Subscribe(ctx, topic)
	out := make(chan *message.Message)
	go func() {
		defer close(out)
		var pending []*message.Message
		for {
			if len(pending) == 0 {
				m, open := <-in
				if !open {
					return
				}
				pending = append(pending, m)
			}
			n := min(len(pending), s.most)
			run := pending[:n:n]
			pending = pending[n:]
			stands := message.NewMessage("", nil)
			parts := []*infra.Part{{Messages: run}}
			stands.SetContext(infra.WithRun(ctx, &infra.Run{Parts: parts, RunOwner: runOwner{s}}))
			select {
			case out <- stands:
			case <-ctx.Done():
				return
			}
			for settled := false; !settled; {
				select {
				case m, open := <-in:
					if open {
						pending = append(pending, m)
					} else {
						in = nil
					}
				case <-stands.Acked():
					for _, m := range run {
						m.Ack()
					}
					settled = true
				case <-stands.Nacked():
					for _, m := range append(run, pending...) {
						m.Nack()
					}
					return
				}
			}
			if in == nil && len(pending) == 0 {
				return
			}
		}
	}()
	return out, err
}

// runOwner is the owner of the runs of s, and has room for all that is made.
type runOwner struct{ s *runSub }

func (runOwner) Made(*infra.Part, *message.Message) bool { return false }
func (runOwner) Aside()                                  {}

// Store publishes what a run came to, by topic.
func (o runOwner) Store(out []infra.Output, _ ...*infra.Part) error {
	s := o.s
	var topics []string
	of := map[string][]*message.Message{}
	for _, o := range out {
		if of[o.Topic] == nil {
			topics = append(topics, o.Topic)
		}
		of[o.Topic] = append(of[o.Topic], o.Message)
	}
	var failed []*message.Message
	var last error
	for _, topic := range topics {
		err := s.pub.Publish(topic, of[topic]...)
		var some *infra.PublishError
		switch {
		case err == nil:
			continue
		case errors.As(err, &some):
			failed = append(failed, some.Failed...)
		default:
			failed = append(failed, of[topic]...)
		}
		last = err
	}
	if last != nil && len(failed) < len(out) {
		return &infra.PublishError{Failed: failed, Err: last}
	}
	return last
}

// fakePub stores what it is given, after failing as often as it is told.
type fakePub struct {
	mu    sync.Mutex
	fails int // -1: always
	calls int
	got   map[string][]*message.Message
}

func (p *fakePub) Publish(topic string, msgs ...*message.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if p.fails != 0 {
		p.fails--
		return errors.New("broker says no")
	}
	if p.got == nil {
		p.got = map[string][]*message.Message{}
	}
	p.got[topic] = append(p.got[topic], msgs...)
	return nil
}
func (p *fakePub) Close() error { return nil }

func (p *fakePub) of(topic string) []*message.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got[topic]
}

// fakeBroker is channels in and slices out, so that a pipeline runs whole in a
// synctest bubble, where time passes at once.
type fakeBroker struct {
	infra.Broker // nil: what is not below is not called
	pub          *fakePub
	subs         map[string]*chanSub // by group
}

func (b *fakeBroker) Publisher(infra.Durability) message.Publisher { return b.pub }
func (b *fakeBroker) Subscriber(group string, cfg infra.SubscriberConfig) (infra.Subscriber, error) {
	b.subs[group] = newChanSub()
	if cfg.Runs.On() {
		return &runSub{chanSub: b.subs[group], most: cfg.Runs.Messages, pub: b.pub}, nil
	}
	return b.subs[group], nil
}
func (b *fakeBroker) EnsureTopics(context.Context, ...infra.Topic) error { return nil }
func (b *fakeBroker) Progress(_ context.Context, of ...infra.GroupTopic) []infra.GroupProgress {
	return slices.Repeat([]infra.GroupProgress{{Err: errors.New("a fake has no groups")}}, len(of))
}
func (b *fakeBroker) Ping(context.Context) error { return nil }
func (b *fakeBroker) Close() error               { return nil }

// funcDest is a destination made of functions.
type funcDest struct {
	id        string
	transform func(e destinations.Event) (destinations.Payload, error)
	deliver   func(ctx context.Context, d destinations.Delivery) error
}

func (f *funcDest) ID() string { return f.id }
func (f *funcDest) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	if f.transform != nil {
		return f.transform(e)
	}
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}
func (f *funcDest) Deliver(ctx context.Context, d destinations.Delivery) error {
	return f.deliver(ctx, d)
}

// rig is a running pipeline on a fakeBroker.
type rig struct {
	*testing.T
	pipeline *Pipeline
	broker   *fakeBroker
	registry *prometheus.Registry
	closes   bool // the test closes the pipeline, and looks at the error
}

func newRig(t *testing.T, dests ...Destination) *rig {
	t.Helper()
	return newRigOf(t, Config{Destinations: dests})
}

func newRigOf(t *testing.T, cfg Config) *rig {
	t.Helper()
	r := &rig{T: t, broker: &fakeBroker{pub: &fakePub{}, subs: map[string]*chanSub{}}, registry: prometheus.NewRegistry()}
	m, err := metrics.New(r.registry)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Broker, cfg.Metrics = r.broker, m
	if r.pipeline, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.pipeline.Run(context.Background()) }()
	if err := r.pipeline.Running(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.pipeline.Drain(context.Background()), r.pipeline.Close(), <-ended); err != nil && !r.closes {
			t.Error(err)
		}
	})
	return r
}

// deliver hands the destination's deliver handler the events of a key, as its
// topic would, and returns them.
func (r *rig) deliver(id, key string, events ...string) []*message.Message {
	msgs := make([]*message.Message, len(events))
	for i, e := range events {
		msgs[i] = delivery(key, e)
		r.broker.subs[record.DeliverGroup(id)].ch <- msgs[i]
	}
	synctest.Wait()
	return msgs
}

// poisoned are the records of the destination's poison queue.
func (r *rig) poisoned(id string) []record.GivenUp {
	var out []record.GivenUp
	for _, m := range r.broker.pub.of(record.PoisonTopic(id)) {
		out = append(out, record.DecodePoison(id, m))
	}
	return out
}

// metric is the value of one series; name{destination=...,extra}.
func (r *rig) metric(name string, labels map[string]string) float64 {
	r.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if want, ok := labels[l.GetName()]; ok && want != l.GetValue() {
					continue series
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	r.Errorf("there is no series %s %v", name, labels)
	return -1
}

// claim is a claim's context: end ends it, cut the grace of its attempts.
func claim(t *testing.T) (ctx context.Context, end, cut context.CancelFunc) {
	t.Helper()
	later, cut := context.WithCancel(t.Context())
	ctx, end = context.WithCancel(infra.WithGrace(t.Context(), later))
	t.Cleanup(end)
	t.Cleanup(cut)
	return ctx, end, cut
}

func within(ctx context.Context, m *message.Message) *message.Message { m.SetContext(ctx); return m }

// run is synctest.Test under a shorter name.
func run(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

// elapse lets time pass in the bubble and everything happen that is due.
func elapse(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
