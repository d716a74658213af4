package router

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errPlain  = errors.New("it did not work")
	quiet     = slog.New(slog.NewTextHandler(io.Discard, nil))
	forEver   = make(chan struct{}) // a drain that never comes
	farFuture = 1000 * time.Hour
)

// record is what the events topic holds for one event of a key.
func record(key, id string) *message.Message {
	return EncodeEvent(destinations.Event{ID: id, Key: key, Type: "t", ReceivedAt: time.Now(), Data: []byte(`{"id":"` + id + `"}`)})
}

// delivery is what a destination's topic holds for one event of a key.
func delivery(key, id string) *message.Message {
	e := destinations.Event{ID: id, Key: key, Type: "t", ReceivedAt: time.Now()}
	return encodeDelivery(e, destinations.Payload{ContentType: "application/json", Body: []byte(`{"id":"` + id + `"}`)}, 7)
}

func destMetrics(tb testing.TB, id string) *metrics.Destination {
	tb.Helper()
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	return m.Destination(id, func() metrics.State { return metrics.State{} })
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
}

func newChanSub() *chanSub { return &chanSub{ch: make(chan *message.Message)} }

func (s *chanSub) Subscribe(context.Context, string) (<-chan *message.Message, error) {
	return s.ch, nil
}
func (s *chanSub) Close() error { s.once.Do(func() { close(s.ch) }); return nil }

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

// funcDest is a destination whose Deliver is a function.
type funcDest struct {
	id      string
	deliver func(ctx context.Context, d destinations.Delivery) error
}

func (f *funcDest) ID() string { return f.id }
func (f *funcDest) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}
func (f *funcDest) Deliver(ctx context.Context, d destinations.Delivery) error {
	return f.deliver(ctx, d)
}

func within(ctx context.Context, m *message.Message) *message.Message { m.SetContext(ctx); return m }

// run is synctest.Test under a shorter name.
func run(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

var _ = infra.MetaKey
