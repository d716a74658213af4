package pubsub

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// An offset outside of a partition is set to its nearest end here, for every log.
func TestResetStaysWithinThePartition(t *testing.T) {
	t.Parallel()
	l := newMemlog()
	b, err := New(l, Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	require.NoError(t, b.EnsureTopics(t.Context(), infra.Topic{Name: topic}))
	for range 10 {
		require.NoError(t, l.Append(t.Context(), infra.Batch{Records: []*infra.Record{{Topic: topic}}}))
	}
	require.NoError(t, l.Trim(t.Context(), topic, map[int32]int64{0: 4}))
	for to, want := range map[int64]int64{0: 4, 7: 7, 99: 10} {
		require.NoError(t, b.Reset(t.Context(), group, topic, map[int32]int64{0: to}))
		kept, err := l.Kept(t.Context(), topic, group)
		require.NoError(t, err)
		assert.Equal(t, infra.Position{Next: want}, kept[group][0], "of %d", to)
	}
	require.Error(t, b.Reset(t.Context(), group, topic, map[int32]int64{1: 0}))
}
