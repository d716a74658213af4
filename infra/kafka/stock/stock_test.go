package stock

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"eventserver/infra"
	"eventserver/infra/kafka"
	"eventserver/infra/pubsub"
)

// With receipts, as batches in partition order use them, only Settle settles: the
// handlers' own Nack of a message is no verdict.
func TestStockReceipts(t *testing.T) {
	t.Parallel()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	cfg := kafka.Config{Brokers: c.ListenAddrs(), Partitions: 4}
	l, err := kafka.Open(t.Context(), cfg)
	require.NoError(t, err)
	inner, err := pubsub.New(l, pubsub.Config{})
	require.NoError(t, err)
	b, err := New(inner, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	const topic, group = "events", "webhook"
	require.NoError(t, b.EnsureTopics(t.Context(), infra.Topic{Name: topic}))
	for n := range 2 {
		m := message.NewMessage(strconv.Itoa(n), []byte(strconv.Itoa(n)))
		m.Metadata.Set(infra.MetaKey, "u")
		require.NoError(t, b.Publisher(infra.Durable).Publish(topic, m))
	}
	s, err := b.Subscriber(group, infra.SubscriberConfig{Receipts: true})
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Close()) }()
	in, err := s.Subscribe(context.Background(), topic)
	require.NoError(t, err)
	settle := func(payload string, acked bool) {
		var m *message.Message
		select {
		case m = <-in:
		case <-time.After(20 * time.Second):
			require.FailNow(t, "no message in time")
		}
		require.Equal(t, payload, string(m.Payload))
		require.True(t, infra.HasReceipt(m))
		require.True(t, m.Nack())
		infra.Settle(m, acked)
	}
	settle("0", true)
	settle("1", false)
	settle("1", true)
	require.Eventually(t, func() bool {
		lag, err := infra.LagOf(t.Context(), b, group, topic)
		return assert.NoError(t, err) && lag == 0
	}, 20*time.Second, 10*time.Millisecond)
	assert.Zero(t, s.Deferred("u"))
	members, err := b.Members(t.Context(), group)
	require.NoError(t, err)
	assert.Len(t, members, 1, "it is a member on the cluster")
	require.ErrorIs(t, b.Reset(t.Context(), group, topic, map[int32]int64{0: 0}), infra.ErrGroupBusy)
}
