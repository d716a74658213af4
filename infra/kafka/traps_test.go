package kafka

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
	"eventserver/infra/pubsub"
)

const (
	topic, group = "events", "webhook"
	timeout      = 30 * time.Second
)

func open(t *testing.T, cfg Config) infra.Broker { return on(t, cfg, pubsub.Config{}) }

func ensure(t *testing.T, b infra.Broker, topics ...string) {
	t.Helper()
	for _, name := range topics {
		require.NoError(t, b.EnsureTopics(t.Context(), infra.Topic{Name: name}))
	}
}

func publish(t *testing.T, b infra.Broker, key string, first, count int) {
	t.Helper()
	msgs := make([]*message.Message, count)
	for i := range msgs {
		msgs[i] = message.NewMessage(fmt.Sprint(first+i), []byte(fmt.Sprint(first+i)))
		msgs[i].Metadata.Set(infra.MetaKey, key)
	}
	require.NoError(t, b.Publisher(infra.Durable).Publish(topic, msgs...))
}

func subscribe(t *testing.T, b infra.Broker) (infra.Subscriber, <-chan *message.Message) {
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
	case m, open := <-in:
		require.True(t, open, "the subscription ended")
		return m
	case <-time.After(timeout):
		require.FailNow(t, "no message in time")
		return nil
	}
}

// After a kill -9 the group keeps a dead dynamic member until its session times
// out. A static member that comes back gets its partitions at once.
func TestStaticMemberTakesOverAtOnce(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	cfg := testConfig(c.ListenAddrs()...)
	cfg.SessionTimeout, cfg.InstanceID = 20*time.Second, "node-1"
	fenced := make(chan error, 16)
	cfg.Fatal = func(err error) {
		select {
		case fenced <- err:
		default:
		}
	}
	old := open(t, cfg)
	ensure(t, old, topic)
	publish(t, old, "u", 0, 2)
	_, in := subscribe(t, old)
	receive(t, in).Ack()
	require.Eventually(t, func() bool { n, err := infra.LagOf(t.Context(), old, group, topic); return err == nil && n == 1 }, timeout, 10*time.Millisecond)
	held := receive(t, in)

	// The old one never leaves: for the group it is as dead as after kill -9.
	again := open(t, cfg)
	began := time.Now()
	s, in2 := subscribe(t, again)
	got := receive(t, in2)
	assert.Equal(t, "1", string(got.Payload))
	assert.Less(t, time.Since(began), 5*time.Second, "far below the session timeout")
	got.Ack()

	// And the old one, which is alive after all, is told and stopped.
	select {
	case err := <-fenced:
		assert.ErrorIs(t, err, kerr.FencedInstanceID)
		assert.ErrorContains(t, err, "instance_id")
	case <-time.After(timeout):
		require.FailNow(t, "nobody was told that two processes have one instance id")
	}
	select {
	case <-held.Context().Done():
	case <-time.After(timeout):
		require.FailNow(t, "the fenced owner's work was not cancelled")
	}
	held.Nack()
	require.NoError(t, s.Close())
}

// Records of another program (no Watermill headers, no key, no value, any
// bytes) reach the handler, which can poison; they never end the claim.
func TestForeignRecordsDoNotEndTheClaim(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	cfg := testConfig(c.ListenAddrs()...)
	cfg.Partitions = 1
	b := open(t, cfg)
	ensure(t, b, topic)
	producer := foreign(t, c)
	records := []*kgo.Record{
		{Topic: topic},
		{Topic: topic, Key: []byte("tombstone")},
		{Topic: topic, Value: []byte{0xff, 0xfe, 0}},
		{Topic: topic, Key: []byte{0xff, 0}, Value: []byte("{"), Headers: []kgo.RecordHeader{{}, {Key: "\xff", Value: []byte{0}}}},
	}
	require.NoError(t, producer.ProduceSync(t.Context(), records...).FirstErr())
	publish(t, b, "u", 0, 1)
	_, in := subscribe(t, b)
	for i := range records {
		m := receive(t, in)
		assert.Empty(t, m.UUID)
		assert.EqualValues(t, i, infra.Offset(m))
		m.Ack()
	}
	assert.Equal(t, "0", string(receive(t, in).Payload))
	assert.EqualValues(t, 1, c.GroupInfo("eventserver.owners").Epoch, "one join, no rejoin")
}

func TestEnsureTopicsRefusesWhatLosesEvents(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	cfg := testConfig(c.ListenAddrs()...)
	cfg.Retention = 7 * 24 * time.Hour // what a topic has that nobody configured
	b := open(t, cfg)
	for name, bad := range map[string]map[string]string{
		"compacted": {"cleanup.policy": "compact", "max.message.bytes": "9999999"},
		"both":      {"cleanup.policy": "compact,delete", "max.message.bytes": "9999999"},
		"unclean":   {"unclean.leader.election.enable": "true", "max.message.bytes": "9999999"},
		"small":     {"max.message.bytes": "1000"},
		"short":     {"retention.ms": "5000", "max.message.bytes": "9999999"},
		"bounded":   {"retention.bytes": "1000", "max.message.bytes": "9999999"},
	} {
		require.NoError(t, c.CreateTopic(name, 1, bad))
		err := b.EnsureTopics(t.Context(), infra.Topic{Name: name})
		assert.ErrorContains(t, err, "topic "+name+": ", name)
	}
	require.NoError(t, c.CreateTopic("fine", 3, map[string]string{"max.message.bytes": "9999999"}))
	assert.NoError(t, b.EnsureTopics(t.Context(), infra.Topic{Name: "fine"}))
	assert.Len(t, c.PartitionInfos("fine"), 3, "an existing topic keeps its partitions")
	assert.ErrorContains(t, b.EnsureTopics(t.Context(), infra.Topic{Name: "fine", Keep: true}), "retention.ms", "a poison queue is kept for ever")
	cfg.Replication = 3
	assert.ErrorContains(t, open(t, cfg).EnsureTopics(t.Context(), infra.Topic{Name: "fine"}), "copies")
}

// One SendMessage a message was 500 round trips for a batch of 500.
func TestBatchTakesFewRequests(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	b := open(t, testConfig(c.ListenAddrs()...))
	ensure(t, b, topic)
	publish(t, b, "warm", 0, 1)
	var produced atomic.Int64
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		produced.Add(1)
		return nil, nil, false
	})
	msgs := make([]*message.Message, 500)
	for i := range msgs {
		msgs[i] = message.NewMessage(fmt.Sprint(i), make([]byte, 200))
		msgs[i].Metadata.Set(infra.MetaKey, fmt.Sprint(i%50))
	}
	require.NoError(t, b.Publisher(infra.Durable).Publish(topic, msgs...))
	assert.Positive(t, produced.Load())
	assert.Less(t, produced.Load(), int64(50))
	t.Logf("%d produce requests for 500 messages", produced.Load())
}

// A graceful restart repeated one event a partition, each time. Some messages
// are never done, so that every cycle commits gaps.
func TestTwentyRestartsRepeatNothing(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	cfg := testConfig(c.ListenAddrs()...)
	const cycles, each = 20, 40
	done := map[string]int{}
	next := 0
	for cycle := range cycles {
		b := open(t, cfg)
		ensure(t, b, topic)
		for k := range 10 {
			publish(t, b, fmt.Sprint("user-", k), next, each/10)
			next += each / 10
		}
		s, in := subscribe(t, b)
		for i := range each {
			m := receive(t, in)
			if i%7 == cycle%7 {
				m.Nack() // comes again in this cycle or in a later one
				continue
			}
			done[string(m.Payload)]++
			m.Ack()
		}
		require.NoError(t, s.Drain(t.Context()))
		require.NoError(t, s.Close())
		require.NoError(t, b.Close())
	}
	b := open(t, cfg)
	_, in := subscribe(t, b)
	for len(done) < next {
		m := receive(t, in)
		done[string(m.Payload)]++
		m.Ack()
	}
	for payload, n := range done {
		assert.Equal(t, 1, n, "message %s", payload)
	}
}

// Of two servers that made the same topic at the same time one did not start: the
// cluster said that the topic exists, and for a moment could not describe it.
func TestEnsureTopicsBesideAnother(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	b := open(t, testConfig(c.ListenAddrs()...))
	ensure(t, b, topic)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.UnknownTopicOrPartition, Count: 2})
	ensure(t, b, topic)
}

// A cut or refused produce is repeated by the client without a duplicate.
func TestPublishSurvivesLostAnswers(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	b := open(t, testConfig(c.ListenAddrs()...))
	ensure(t, b, topic)
	// The broker stores the batch and answers that it did not.
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicasAfterAppend, Count: 2})
	publish(t, b, "u", 0, 20)
	_, in := subscribe(t, b)
	for i := range 20 {
		m := receive(t, in)
		assert.Equal(t, fmt.Sprint(i), string(m.Payload))
		m.Ack()
	}
	publish(t, b, "u", 20, 1)
	assert.Equal(t, "20", string(receive(t, in).Payload))
}

// Leaders and coordinators move: nothing done comes again but what was in the
// last commit interval, nothing is lost, and order is kept.
func TestMovingLeadersAndCoordinators(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.NumBrokers(3))
	b := open(t, testConfig(c.ListenAddrs()...))
	ensure(t, b, topic)
	_, in := subscribe(t, b)
	last := -1
	for i := range 5 {
		publish(t, b, "u", 10*i, 10)
		for last < 10*i+9 {
			m := receive(t, in)
			n := 0
			_, err := fmt.Sscan(string(m.Payload), &n)
			require.NoError(t, err)
			require.LessOrEqual(t, n, last+1, "a gap")
			last = max(last, n)
			m.Ack()
		}
		c.ShufflePartitionLeaders()
		if i%3 == 2 {
			c.RehashCoordinators()
		}
	}
	require.Eventually(t, func() bool { n, err := infra.LagOf(t.Context(), b, group, topic); return err == nil && n == 0 }, timeout, 20*time.Millisecond)
}

// Lag and Ping used to write their result behind the back of a caller whose
// context had ended. The race detector is the judge.
func TestLagInEndedContext(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	b := open(t, testConfig(c.ListenAddrs()...))
	ensure(t, b, topic)
	publish(t, b, "u", 0, 10)
	for i := range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*20*time.Microsecond)
		_, _ = infra.LagOf(ctx, b, group, topic)
		_ = b.Ping(ctx)
		cancel()
	}
}

// A topic may take less than the client is configured for, when somebody lowered its
// limit: the cluster refuses the record, and no retry can make it small enough.
func TestTopicsOwnLimit(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	require.NoError(t, c.CreateTopic("small", 1, map[string]string{"max.message.bytes": "1000000"}))
	b := open(t, testConfig(c.ListenAddrs()...))
	large := make([]byte, 2<<20)
	_, err := rand.Read(large) // it cannot be compressed
	require.NoError(t, err)
	pub := b.Publisher(infra.Durable)
	require.ErrorIs(t, pub.Publish("small", message.NewMessage("large", large)), infra.ErrTooLarge)
	require.NoError(t, pub.Publish("small", message.NewMessage("small", large[:1000])))
}
