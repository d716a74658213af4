package poison

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/infra/brokertest/inmemory"
	"eventserver/infra/pubsub"
	"eventserver/router"
	"eventserver/router/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a broker and what happens on it.
type world struct {
	t      require.TestingT
	broker infra.Broker
	mu     sync.Mutex
	clock  time.Time
	again  func(m *message.Message) error // nil: the transformation goes well
	marks  map[string]int
}

func newWorld(t inmemory.Test) *world {
	b := inmemory.Open(t, 3, pubsub.Config{})
	w := &world{t: t, broker: b, clock: time.Now(), marks: map[string]int{}}
	require.NoError(t, b.EnsureTopics(context.Background(), record.Topics("d")...))
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

// service is a process of its own, whose publisher may be killed.
func (w *world) service(pub message.Publisher) *Service {
	d := &router.Destination{Destination: plain{}}
	s, err := New(Config{Broker: w.broker, Publisher: pub, Now: w.now, Destinations: func() []string { return []string{"d"} },
		Again: func(ctx context.Context, _ string, m *message.Message, r record.Redrive) (*message.Message, error) {
			if w.again != nil {
				if err := w.again(m); err != nil {
					return nil, err
				}
			}
			return d.Again(ctx, m, r, 0)
		},
		Settled: func(mark string, n int) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.marks[mark] += n
		}})
	require.NoError(w.t, err)
	s.pause = time.Microsecond
	return s
}

// plain is a destination that transforms nothing.
type plain struct{}

func (plain) ID() string                                           { return "d" }
func (plain) Deliver(context.Context, destinations.Delivery) error { return nil }
func (plain) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}

// item is something to give up.
type item struct {
	id, key, typ, stage, reason string
	sequence, redrives          int
	body                        string
}

func (w *world) put(items ...item) {
	for _, it := range items {
		if it.typ == "" {
			it.typ = "order.placed"
		}
		if it.stage == "" {
			it.stage = "deliver"
		}
		if it.reason == "" {
			it.reason = "attempts"
		}
		if it.body == "" {
			it.body = fmt.Sprintf(`{"id":%q}`, it.id)
		}
		m := record.EncodeEvent(destinations.Event{ID: it.id, Key: it.key, Type: it.typ, ReceivedAt: w.now(), ContentType: "application/json",
			Metadata: map[string]string{"traceparent": "secret-context"}, Data: []byte(it.body)})
		for k, v := range map[string]string{"es_sequence": fmt.Sprint(it.sequence), "es_poison_stage": it.stage, "es_poison_reason": it.reason,
			"es_poison_detail": "why " + it.id, "es_poison_attempts": "3", "es_poison_first": w.now().Format(time.RFC3339Nano), "es_poison_last": w.now().Format(time.RFC3339Nano)} {
			m.Metadata[k] = v
		}
		if it.redrives > 0 {
			for k, v := range map[string]string{"es_redrives": fmt.Sprint(it.redrives), "es_redrive_of": "0:0", "es_redrive_run": "r", "es_redriven_at": w.now().Format(time.RFC3339Nano)} {
				m.Metadata[k] = v
			}
		}
		require.NoError(w.t, w.broker.Publisher(infra.Durable).Publish("poison.d", m))
	}
}

// all reads a whole topic, by partition and offset.
func (w *world) all(topic string) (out []*message.Message) {
	r := w.broker
	bounds, err := r.Bounds(context.Background(), topic, time.Time{})
	require.NoError(w.t, err)
	for p, b := range bounds {
		require.NoError(w.t, r.Scan(context.Background(), topic, map[int32]infra.Range{p: {From: b.Oldest, To: b.End}}, func(m *message.Message, _ time.Time) error {
			out = append(out, m)
			return nil
		}))
	}
	return out
}

// redriven are the ids on the destination's topic, in the order of each key.
func (w *world) redriven() map[string][]string {
	out := map[string][]string{}
	for _, m := range w.all("dest.d") {
		d, err := record.DecodeDelivery("d", m)
		require.NoError(w.t, err)
		out[d.Key] = append(out[d.Key], d.EventID)
	}
	return out
}

func (w *world) waiting(s *Service) []string {
	page, err := s.List(context.Background(), Query{})
	require.NoError(w.t, err)
	out := []string{}
	for _, it := range page.Items {
		out = append(out, it.EventID)
	}
	for _, counted := range []*Service{s, w.service(nil)} { // as one knows it that looked before, and one that did not
		n, err := counted.Waiting(context.Background(), "d")
		require.NoError(w.t, err)
		require.EqualValues(w.t, len(out), n)
		if counted != s {
			require.NoError(w.t, counted.Close())
		}
	}
	return out
}

// do runs an order to its end.
func do(s *Service, o Order) (Run, error) {
	if o.Rate == nil {
		o.Rate = new(float64)
	}
	if !narrow(o.Filter) {
		o.All = true
	}
	run, err := s.Begin(context.Background(), o, "ann")
	if err == nil && run.State == stateRunning { // a slow machine
		run, err = s.Run(context.Background(), run.ID, time.Minute)
	}
	return run, err
}

func redrive(t require.TestingT, s *Service, o Order) Run {
	o.Action = actionRedrive
	run, err := do(s, o)
	require.NoError(t, err)
	require.Equal(t, stateDone, run.State, run.Error)
	return run
}

var errKilled = errors.New("killed")

// killer is the publisher of a process that is killed at its nth publish: when
// that has stored a share of its messages.
type killer struct {
	pub   message.Publisher
	share float64
	only  string // count publishes to topics with this prefix alone

	mu   sync.Mutex
	left int
	dead bool
}

func (k *killer) Publish(topic string, msgs ...*message.Message) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead {
		return errKilled
	}
	if !strings.HasPrefix(topic, k.only) {
		return k.pub.Publish(topic, msgs...)
	}
	if k.left--; k.left > 0 {
		return k.pub.Publish(topic, msgs...)
	}
	k.dead = true
	if n := int(k.share*float64(len(msgs)) + 0.5); n > 0 {
		_ = k.pub.Publish(topic, msgs[:n]...)
	}
	return errKilled
}

func (k *killer) Close() error { return nil }

type (
	ctx       = context.Context
	msg       = *message.Message
	againFunc = func(ctx, string, msg, record.Redrive) (msg, error)
)
