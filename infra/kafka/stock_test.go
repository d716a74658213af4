package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// With receipts, as batches in partition order use them, only Settle settles: the
// handlers' own Nack of a message is no verdict.
func TestStockReceipts(t *testing.T) {
	t.Parallel()
	cfg := testConfig(cluster(t).ListenAddrs()...)
	cfg.Stock, cfg.NackDelay = true, 10*time.Millisecond
	b := open(t, cfg)
	ensure(t, b, topic)
	publish(t, b, "u", 0, 2)
	s, err := b.Subscriber(group, infra.SubscriberConfig{Receipts: true})
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Close()) }()
	in, err := s.Subscribe(context.Background(), topic)
	require.NoError(t, err)
	settle := func(payload string, acked bool) {
		m := receive(t, in)
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
}
