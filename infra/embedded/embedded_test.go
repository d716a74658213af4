package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"eventserver/infra"
	"eventserver/infra/kafka"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

const (
	topic   = "events"
	timeout = 30 * time.Second
	poll    = 10 * time.Millisecond
)

// testConfig is what the tests change: short waits, little data.
func testConfig(dir string) Config {
	cfg := Config{
		Dir: dir,
		Kafka: kafka.Config{
			Partitions: 4, MaxMessageBytes: 1 << 20,
			SessionTimeout: 6 * time.Second, ReleaseTimeout: time.Second,
			CommitInterval: 50 * time.Millisecond,
		},
	}
	if os.Getenv("EVENTSERVER_TEST_LOG") != "" {
		cfg.Kafka.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return cfg
}

// onePartition is testConfig with topics of one partition, where offsets can be foretold.
func onePartition(dir string) Config {
	cfg := testConfig(dir)
	cfg.Kafka.Partitions = 1
	return cfg
}

func open(t *testing.T, cfg Config) *Broker {
	t.Helper()
	b, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func ensure(t *testing.T, b infra.Broker, topics ...string) {
	t.Helper()
	for _, name := range topics {
		require.NoError(t, b.EnsureTopics(t.Context(), infra.Topic{Name: name}))
	}
}

// publish stores count messages of one key, numbered from first in their payloads.
func publish(t *testing.T, b infra.Broker, topic, key string, first, count int) {
	t.Helper()
	for i := range count {
		m := message.NewMessage(watermill.NewUUID(), fmt.Append(nil, first+i))
		m.Metadata.Set(infra.MetaKey, key)
		require.NoError(t, b.Publisher(infra.Durable).Publish(topic, m)) // one by one: each is a batch in the file
	}
}

func subscribe(t *testing.T, b infra.Broker, group, topic string) (message.Subscriber, <-chan *message.Message) {
	t.Helper()
	s, err := b.Subscriber(group, infra.SubscriberConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	in, err := s.Subscribe(context.Background(), topic)
	require.NoError(t, err)
	return s, in
}

func receive(t *testing.T, in <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case m, open := <-in:
		require.True(t, open, "the subscription ended")
		return m
	case <-time.After(timeout):
		require.FailNow(t, "no message in time")
		return nil
	}
}

// only acks what comes and asserts that it is exactly want, in order. A last
// message of the same key behind them makes "and no more" need no waiting.
func only(t *testing.T, b infra.Broker, in <-chan *message.Message, topic, key string, want ...string) {
	t.Helper()
	const end = "1000000"
	publish(t, b, topic, key, 1_000_000, 1)
	got := []string{}
	for {
		m := receive(t, in)
		m.Ack()
		if string(m.Payload) == end {
			break
		}
		got = append(got, string(m.Payload))
	}
	require.Equal(t, append([]string{}, want...), got)
}

// consume acks count messages as a member of group, which then leaves.
func consume(t *testing.T, b *Broker, group, topic string, count int) {
	t.Helper()
	lag := func() int64 {
		n, err := infra.LagOf(t.Context(), b, group, topic)
		require.NoError(t, err)
		return n
	}
	before := lag()
	s, in := subscribe(t, b, group, topic)
	for range count {
		receive(t, in).Ack()
	}
	require.NoError(t, s.Close()) // commits
	require.Equal(t, before-int64(count), lag())
}

func numbers(first, count int) []string {
	out := make([]string, count)
	for i := range out {
		out[i] = fmt.Sprint(first + i)
	}
	return out
}
