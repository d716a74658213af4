package router

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// runSub makes runs of what comes on its channel: what comes while one is in the
// handler gathers in the next.
type runSub struct {
	*routertest.ChanSub
	most int
	pub  message.Publisher
}

func (s *runSub) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	in, err := s.ChanSub.Subscribe(ctx, topic)
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
	subs         map[string]*routertest.ChanSub // by group
}

func (b *fakeBroker) Publisher(infra.Durability) message.Publisher { return b.pub }
func (b *fakeBroker) Subscriber(group string, cfg infra.SubscriberConfig) (infra.Subscriber, error) {
	b.subs[group] = routertest.NewChanSub()
	if cfg.Runs.On() {
		return &runSub{ChanSub: b.subs[group], most: cfg.Runs.Messages, pub: b.pub}, nil
	}
	return b.subs[group], nil
}
func (b *fakeBroker) EnsureTopics(context.Context, ...infra.Topic) error { return nil }
func (b *fakeBroker) Progress(_ context.Context, of ...infra.GroupTopic) []infra.GroupProgress {
	return slices.Repeat([]infra.GroupProgress{{Err: errors.New("a fake has no groups")}}, len(of))
}
func (b *fakeBroker) Ping(context.Context) error { return nil }
func (b *fakeBroker) Close() error               { return nil }

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
	r := &rig{T: t, broker: &fakeBroker{pub: &fakePub{}, subs: map[string]*routertest.ChanSub{}}, registry: prometheus.NewRegistry()}
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
		msgs[i] = routertest.Delivery(key, e)
		r.broker.subs[record.DeliverGroup(id)].Ch <- msgs[i]
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
