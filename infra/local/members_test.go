package local

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// holder owns what it is given until its context ends.
type holder struct {
	mu    sync.Mutex
	owned map[int32]infra.Claim
	given chan int32
	taken chan int32
}

func newHolder() *holder {
	return &holder{owned: map[int32]infra.Claim{}, given: make(chan int32, 100), taken: make(chan int32, 100)}
}

func (h *holder) own(c infra.Claim) {
	h.mu.Lock()
	h.owned[c.Partition] = c
	h.mu.Unlock()
	h.given <- c.Partition
	<-c.Context.Done()
	h.mu.Lock()
	delete(h.owned, c.Partition)
	h.mu.Unlock()
	h.taken <- c.Partition
}

func take(c <-chan int32, n int) map[int32]bool {
	got := map[int32]bool{}
	for range n {
		got[<-c] = true
	}
	return got
}

func TestMembersShare(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	l := open(t, Config{Partitions: 5}, "a")
	put(t, l, "a", 1, names(0, 10)...)
	require.NoError(t, l.Trim(ctx, "a", map[int32]int64{1: 4}))
	require.NoError(t, l.Keep(ctx, infra.Progressed{Group: "g", Topic: "a", Partition: 2, Position: infra.Position{Next: 7, Text: "x"}}))

	first, second := newHolder(), newHolder()
	m1, err := l.Join(ctx, "g", "a", first.own)
	require.NoError(t, err)
	take(first.given, 5)
	assert.True(t, m1.Assigned())
	first.mu.Lock()
	assert.Equal(t, infra.Position{Next: 4}, first.owned[1].Position)
	assert.Equal(t, infra.Position{Next: 7, Text: "x"}, first.owned[2].Position)
	first.mu.Unlock()

	m2, err := l.Join(ctx, "g", "a", second.own)
	require.NoError(t, err)
	moved := take(first.taken, 2)
	assert.Equal(t, moved, take(second.given, 2), "only what must move moves")
	assert.ErrorIs(t, l.Reset(ctx, "g", "a", map[int32]int64{0: 0}), infra.ErrGroupBusy)
	assert.ErrorIs(t, l.DeleteGroups(ctx, "other", "g"), infra.ErrGroupBusy)
	list, err := l.Members(ctx, "g")
	require.NoError(t, err)
	require.Len(t, list, 2)
	assert.Len(t, list[0].Partitions["a"], 3)
	assert.Len(t, list[1].Partitions["a"], 2)

	require.NoError(t, m1.Close())
	require.NoError(t, m1.Close())
	take(second.given, 3)
	require.NoError(t, l.Close())
	take(second.taken, 5)
	require.NoError(t, m2.Close())
	_, err = l.Join(ctx, "g", "a", second.own)
	assert.ErrorIs(t, err, ErrClosed)
}
