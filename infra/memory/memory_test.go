package memory

import (
	"context"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"eventserver/infra"
	"eventserver/infra/brokertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, cfg Config) *Broker {
	t.Helper()
	b, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestConformance(t *testing.T) {
	const window = 20
	brokertest.Run(t, func(t *testing.T) infra.Broker {
		return open(t, Config{Partitions: 4, WindowMessages: window, WindowKey: window, MaxMessageBytes: 1 << 20, ReleaseTimeout: time.Second})
	}, brokertest.Options{Partitions: 4, Window: window, MaxMessageBytes: 1 << 20, NoResume: true})
}

func TestWatermill(t *testing.T) {
	brokertest.RunWatermill(t, func(t *testing.T, partitions int) infra.Broker {
		return open(t, Config{Partitions: partitions, ReleaseTimeout: 500 * time.Millisecond})
	})
}

const events, webhook = "events", "webhook"

func ensured(t *testing.T, cfg Config) *Broker {
	t.Helper()
	b := open(t, cfg)
	require.NoError(t, b.EnsureTopics(t.Context(), infra.Topic{Name: events}, infra.Topic{Name: "poison", Keep: true}))
	return b
}

func publish(t *testing.T, b *Broker, topic string, count int) {
	t.Helper()
	for range count {
		require.NoError(t, b.Publisher(infra.Durable).Publish(topic, message.NewMessage(watermill.NewUUID(), nil)))
	}
}

func subscribe(t *testing.T, b *Broker, group, topic string) (message.Subscriber, <-chan *message.Message) {
	t.Helper()
	s, err := b.Subscriber(group, infra.SubscriberConfig{})
	require.NoError(t, err)
	in, err := s.Subscribe(context.Background(), topic)
	require.NoError(t, err)
	return s, in
}

func receive(t *testing.T, in <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case m := <-in:
		return m
	case <-time.After(10 * time.Second):
		require.FailNow(t, "no message in time")
		return nil
	}
}

func lag(t *testing.T, b *Broker, group, topic string) int {
	t.Helper()
	n, err := infra.LagOf(t.Context(), b, group, topic)
	require.NoError(t, err)
	return int(n)
}

// settled waits until the acks of group have arrived.
func settled(t *testing.T, b *Broker, group, topic string) {
	t.Helper()
	require.Eventually(t, func() bool { return lag(t, b, group, topic) == 0 }, 10*time.Second, time.Millisecond)
}

func TestPublishIsAllOrNothing(t *testing.T) {
	b := ensured(t, Config{MaxMessageBytes: 100})
	small, big := message.NewMessage("1", nil), message.NewMessage("2", make([]byte, 101))
	require.Error(t, b.Publisher(infra.Durable).Publish(events, small, big))
	assert.Zero(t, lag(t, b, webhook, events))
	require.NoError(t, b.Publisher(infra.Durable).Publish(events, small, small.Copy()))
	assert.Equal(t, 2, lag(t, b, webhook, events))
}

func TestUnknownTopic(t *testing.T) {
	b := open(t, Config{})
	require.ErrorContains(t, b.Publisher(infra.Durable).Publish("typo", message.NewMessage("1", nil)), "EnsureTopics")
	s, err := b.Subscriber(webhook, infra.SubscriberConfig{})
	require.NoError(t, err)
	_, err = s.Subscribe(t.Context(), "typo")
	require.ErrorContains(t, err, "EnsureTopics")
	_, err = infra.LagOf(t.Context(), b, webhook, "typo")
	require.Error(t, err)
}

// A publisher may go on using its message, and a handler may write on the one
// it was given: neither reaches the log or another group.
func TestMessagesAreNotShared(t *testing.T) {
	b := ensured(t, Config{Partitions: 1})
	m := message.NewMessage("1", []byte("stored"))
	m.Metadata.Set("k", "stored")
	require.NoError(t, b.Publisher(infra.Durable).Publish(events, m))
	copy(m.Payload, "edited")
	m.Metadata.Set("k", "edited")
	for _, name := range []string{"a", "b"} {
		_, in := subscribe(t, b, name, events)
		got := receive(t, in)
		assert.Equal(t, "stored", string(got.Payload))
		assert.Equal(t, "stored", got.Metadata.Get("k"))
		copy(got.Payload, "edited")
		got.Metadata.Set("k", "edited")
		got.Ack()
	}
}

// What every group has acked is kept up to MaxMessages; what one group has not
// acked is kept whatever it takes; a Keep topic is never trimmed.
func TestRetention(t *testing.T) {
	b := ensured(t, Config{Partitions: 1, MaxMessages: 100, WindowMessages: 1000})
	consume := func(name, topic string, count int) {
		s, in := subscribe(t, b, name, topic)
		for range count {
			receive(t, in).Ack()
		}
		settled(t, b, name, topic)
		require.NoError(t, s.Close())
	}
	publish(t, b, events, 500)
	assert.Equal(t, 500, lag(t, b, "new", events), "without a group nothing is trimmed")
	slow, in := subscribe(t, b, "slow", events) // reads nothing yet
	consume("fast", events, 500)
	assert.Equal(t, 500, lag(t, b, "slow", events))
	for range 500 {
		receive(t, in).Ack()
	}
	settled(t, b, "slow", events)
	kept := lag(t, b, "new", events)
	assert.GreaterOrEqual(t, kept, 100)
	assert.LessOrEqual(t, kept, 113, "an eighth more, to trim in steps")
	require.NoError(t, slow.Close())

	_, in = subscribe(t, b, "new", events) // starts at the oldest kept
	assert.EqualValues(t, 500-kept, infra.Offset(receive(t, in)))

	publish(t, b, "poison", 500)
	consume("fast", "poison", 500)
	assert.Equal(t, 500, lag(t, b, "new", "poison"))
}

// An owner that gave back a stuck message left gaps of done messages behind it.
// When the next owner acked the stuck one, the watermark jumped over offsets it
// had not looked at yet; with trimming they were gone from under it.
func TestWatermarkJumpsOverUnread(t *testing.T) {
	b := ensured(t, Config{Partitions: 1, MaxMessages: 1, WindowMessages: 10})
	publish(t, b, events, 9)
	s, in := subscribe(t, b, webhook, events)
	first := receive(t, in)
	for range 8 {
		receive(t, in).Ack()
	}
	require.Eventually(t, func() bool { return lag(t, b, webhook, events) == 1 }, 10*time.Second, time.Millisecond)
	go func() { <-first.Context().Done(); first.Nack() }()
	require.NoError(t, s.Close())
	publish(t, b, events, 3)
	_, in = subscribe(t, b, webhook, events)
	for _, want := range []int64{0, 9, 10, 11} {
		m := receive(t, in)
		assert.Equal(t, want, infra.Offset(m))
		m.Ack()
	}
	settled(t, b, webhook, events)
}

func TestConfig(t *testing.T) {
	for _, cfg := range []Config{{Partitions: -1}, {MaxMessages: -1}, {NackDelay: -1}, {WindowMessages: -1}} {
		_, err := New(cfg)
		require.Error(t, err)
	}
}
