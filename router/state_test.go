package router

import (
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/infra/brokertest/inmemory"
	"eventserver/infra/pubsub"
	"eventserver/metrics"
)

// What is oldest is asked of the topics: it counts before a message is read, in
// both stages, and whichever was done above it.
func TestBacklogIsExact(t *testing.T) {
	b := inmemory.Open(t, 0, pubsub.Config{})
	if err := b.EnsureTopics(t.Context(), infra.Topic{Name: EventsTopic}, infra.Topic{Name: DestinationTopic("d")}); err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	accept := func(topic, key, id string, minute int) {
		t.Helper()
		m := received(EncodeEvent(destinations.Event{ID: id, Key: key, ReceivedAt: noon.Add(time.Duration(minute) * time.Minute)}))
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
		want := []metrics.Lag{{Topic: EventsTopic, Group: TransformGroup("d"), Messages: events}, {Topic: DestinationTopic("d"), Group: DeliverGroup("d"), Messages: deliveries}}
		if got.lag[0] != want[0] || got.lag[1] != want[1] || !got.oldest.Equal(oldest) {
			t.Errorf("%s: %v, oldest %v; want %v, %v", what, got.lag, got.oldest, want, oldest)
		}
	}
	check("nothing", 0, 0, time.Time{})
	accept(EventsTopic, "a", "1", 5)
	accept(EventsTopic, "a", "2", 6)
	accept(EventsTopic, "e", "3", 3) // in another partition than a
	accept(DestinationTopic("d"), "c", "4", 2)
	accept(DestinationTopic("d"), "c", "5", 4)
	check("nobody has read", 3, 2, noon.Add(2*time.Minute))

	s, err := b.Subscriber(DeliverGroup("d"), infra.SubscriberConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	in, err := s.Subscribe(t.Context(), DestinationTopic("d"))
	if err != nil {
		t.Fatal(err)
	}
	first, second := <-in, <-in
	settle := func(m *message.Message, left int64) {
		m.Ack()
		for lag := int64(-1); lag != left; { // what is done is kept a moment later
			if lag, err = infra.LagOf(t.Context(), b, DeliverGroup("d"), DestinationTopic("d")); err != nil {
				t.Fatal(err)
			}
		}
	}
	settle(second, 1)
	check("a later one is done", 3, 1, noon.Add(2*time.Minute))
	settle(first, 0)
	check("all deliveries are done", 3, 0, noon.Add(3*time.Minute))
}
