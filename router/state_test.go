package router

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/infra/brokertest/inmemory"
	"eventserver/infra/pubsub"
	"eventserver/metrics"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// What is oldest is asked of the topics: it counts before a message is read, in
// both stages, and whichever was done above it.
func TestBacklogIsExact(t *testing.T) {
	b := inmemory.Open(t, 0, pubsub.Config{})
	if err := b.EnsureTopics(t.Context(), infra.Topic{Name: record.EventsTopic}, infra.Topic{Name: record.DestinationTopic("d")}); err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	accept := func(topic, key, id string, minute int) {
		t.Helper()
		m := routertest.Received(record.EncodeEvent(destinations.Event{ID: id, Key: key, ReceivedAt: noon.Add(time.Duration(minute) * time.Minute)}))
		if err := b.Publisher(infra.Durable).Publish(topic, m); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, events, deliveries int64, oldest time.Time) {
		t.Helper()
		got, err := readBacklog(t.Context(), b, "d")
		if err != nil {
			t.Fatal(err)
		}
		want := []metrics.Lag{{Topic: record.EventsTopic, Group: record.TransformGroup("d"), Messages: events}, {Topic: record.DestinationTopic("d"), Group: record.DeliverGroup("d"), Messages: deliveries}}
		if got.lag[0] != want[0] || got.lag[1] != want[1] || !got.oldest.Equal(oldest) {
			t.Errorf("%s: %v, oldest %v; want %v, %v", what, got.lag, got.oldest, want, oldest)
		}
	}
	check("nothing", 0, 0, time.Time{})
	accept(record.EventsTopic, "a", "1", 5)
	accept(record.EventsTopic, "a", "2", 6)
	accept(record.EventsTopic, "e", "3", 3) // in another partition than a
	accept(record.DestinationTopic("d"), "c", "4", 2)
	accept(record.DestinationTopic("d"), "c", "5", 4)
	check("nobody has read", 3, 2, noon.Add(2*time.Minute))

	s, err := b.Subscriber(record.DeliverGroup("d"), infra.SubscriberConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	in, err := s.Subscribe(t.Context(), record.DestinationTopic("d"))
	if err != nil {
		t.Fatal(err)
	}
	first, second := <-in, <-in
	settle := func(m *message.Message, left int64) {
		m.Ack()
		for lag := int64(-1); lag != left; { // what is done is kept a moment later
			if lag, err = infra.LagOf(t.Context(), b, record.DeliverGroup("d"), record.DestinationTopic("d")); err != nil {
				t.Fatal(err)
			}
		}
	}
	settle(second, 1)
	check("a later one is done", 3, 1, noon.Add(2*time.Minute))
	settle(first, 0)
	check("all deliveries are done", 3, 0, noon.Add(3*time.Minute))
}

// asking counts how often the broker is asked.
type asking struct {
	infra.Broker
	n atomic.Int64
}

func (a *asking) Progress(ctx context.Context, of ...infra.GroupTopic) []infra.GroupProgress {
	a.n.Add(1)
	return a.Broker.Progress(ctx, of...)
}

// The backlog of all destinations is asked for at once, and what the broker does not
// know of one says nothing of the others.
func TestBacklogsAreAskedForTogether(t *testing.T) {
	b := &asking{Broker: inmemory.Open(t, 0, pubsub.Config{})}
	if err := b.EnsureTopics(t.Context(), infra.Topic{Name: record.EventsTopic}, infra.Topic{Name: record.DestinationTopic("a")}, infra.Topic{Name: record.DestinationTopic("b")}); err != nil {
		t.Fatal(err)
	}
	if err := b.Publisher(infra.Durable).Publish(record.DestinationTopic("b"), routertest.Record("k", "1")); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	lags, errs := make([]int64, 3), make([]error, 3)
	readBacklogs(t.Context(), b, []string{"a", "gone", "b"}, func(i int, b backlog, err error) {
		mu.Lock()
		defer mu.Unlock()
		lags[i], errs[i] = b.lag[1].Messages, err
	})
	if errs[0] != nil || !errors.Is(errs[1], infra.ErrNoTopic) || errs[2] != nil {
		t.Errorf("errors: %v", errs)
	}
	if lags[0] != 0 || lags[2] != 1 {
		t.Errorf("lags: %v", lags)
	}
	if n := b.n.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
