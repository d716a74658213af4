package routertest

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/router/record"
)

// An error that says nothing more, and a log that nobody reads.
var (
	ErrPlain = errors.New("it did not work")
	Discard  = slog.New(slog.DiscardHandler)
)

// Record is what the events topic holds for one event of a key.
func Record(key, id string) *message.Message {
	return Received(record.EncodeEvent(destinations.Event{ID: id, Key: key, Type: "t", ReceivedAt: time.Now(), Data: []byte(`{"id":"` + id + `"}`)}))
}

// Delivery is what a destination's topic holds for one event of a key.
func Delivery(key, id string) *message.Message {
	e := destinations.Event{ID: id, Key: key, Type: "t", ReceivedAt: time.Now()}
	return Received(record.EncodeDelivery(e, destinations.Payload{ContentType: "application/json", Body: []byte(`{"id":"` + id + `"}`)}, 7))
}

// Received is a message as a subscriber hands it out: it can be waited for.
func Received(m *message.Message) *message.Message {
	r := message.NewMessage(m.UUID, m.Payload)
	r.Metadata = m.Metadata
	return r
}

// Verdict of a message: "" while it has none.
func Verdict(m *message.Message) string {
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

// WantVerdict is an error of the test where a message has another verdict.
func WantVerdict(tb testing.TB, m *message.Message, want string) {
	tb.Helper()
	if got := Verdict(m); got != want {
		tb.Errorf("message %s: got %q, want %q", m.UUID, got, want)
	}
}

// ChanSub is a subscriber that is a channel.
type ChanSub struct {
	Ch   chan *message.Message
	once sync.Once
	Away atomic.Bool  // it has no part in its group
	Most atomic.Int64 // that it may hand out; 0: no bound
}

// NewChanSub makes a subscriber.
func NewChanSub() *ChanSub { return &ChanSub{Ch: make(chan *message.Message)} }

// Subscribe implements message.Subscriber.
func (s *ChanSub) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return s.Ch, nil
}

// Assigned implements infra.Subscriber.
func (s *ChanSub) Assigned() bool { return !s.Away.Load() }

// Drain implements infra.Subscriber.
func (s *ChanSub) Drain(context.Context) error { return nil }

// Stats implements infra.Subscriber.
func (s *ChanSub) Stats() (none infra.Stats) { return none }

// Deferred implements infra.Subscriber.
func (s *ChanSub) Deferred(string) int { return 0 }

// Bound implements infra.Subscriber.
func (s *ChanSub) Bound(messages int) { s.Most.Store(int64(messages)) }

// Close implements infra.Subscriber.
func (s *ChanSub) Close() error { s.once.Do(func() { close(s.Ch) }); return nil }

// FuncDest is a destination made of functions.
type FuncDest struct {
	Name        string
	OnTransform func(e destinations.Event) (destinations.Payload, error)
	OnDeliver   func(ctx context.Context, d destinations.Delivery) error
}

// ID implements destinations.Destination.
func (f *FuncDest) ID() string { return f.Name }

// Transform implements destinations.Destination.
func (f *FuncDest) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	if f.OnTransform != nil {
		return f.OnTransform(e)
	}
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}

// Deliver implements destinations.Destination.
func (f *FuncDest) Deliver(ctx context.Context, d destinations.Delivery) error {
	return f.OnDeliver(ctx, d)
}

// Batches takes batches.
type Batches struct {
	FuncDest
	OnBatch func([]destinations.Delivery) error
}

// DeliverBatch implements destinations.Batcher.
func (b *Batches) DeliverBatch(_ context.Context, ds []destinations.Delivery) error {
	return b.OnBatch(ds)
}

// Claim is a claim's context: end ends it, cut the grace of its attempts.
func Claim(t *testing.T) (ctx context.Context, end, cut context.CancelFunc) {
	t.Helper()
	later, cut := context.WithCancel(t.Context())
	ctx, end = context.WithCancel(infra.WithGrace(t.Context(), later))
	t.Cleanup(end)
	t.Cleanup(cut)
	return ctx, end, cut
}

// Within is m with ctx for its context.
func Within(ctx context.Context, m *message.Message) *message.Message { m.SetContext(ctx); return m }

// Run is synctest.Test under a shorter name.
func Run(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

// Elapse lets time pass in the bubble and everything happen that is due.
func Elapse(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// BodiesOf1MiB are payloads whose values a text about them must not repeat.
var BodiesOf1MiB = map[string]string{
	"plain":   `["` + strings.Repeat(strings.Repeat("v", 45)+`","`, 20_000) + `x"]`,
	"slashes": `["` + strings.Repeat(strings.Repeat("a/", 22)+`","`, 20_000) + `x"]`,
	"short":   `["` + strings.Repeat(`éab1","`, 130_000) + `x"]`,
	"numbers": `[` + strings.Repeat(`1234567,`, 130_000) + `1]`,
	"long":    `["` + strings.Repeat("é v", 260_000) + `"]`,
	"text":    strings.Repeat("no JSON at all ", 70_000),
}

// WantVerdicts is an error of the test for each message that has another verdict.
func WantVerdicts(tb testing.TB, msgs []*message.Message, want string) {
	tb.Helper()
	for _, m := range msgs {
		WantVerdict(tb, m, want)
	}
}

// Eventually waits until ok says so.
func Eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	late := time.After(30 * time.Second)
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-again.C:
		case <-late:
			t.Fatal("not in time: ", what)
		}
	}
}

// Sink is a publisher that forgets.
type Sink struct{}

// Publish implements message.Publisher.
func (Sink) Publish(string, ...*message.Message) error { return nil }

// Close implements message.Publisher.
func (Sink) Close() error { return nil }
