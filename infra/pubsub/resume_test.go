package pubsub

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"eventserver/infra"
)

// What is done counts only for the very message, and only while no earlier one of
// its key is handed out: what comes again of a key is always its last part.
func TestMade(t *testing.T) {
	t.Parallel()
	m := newDoneSet(map[int64]infra.Identity{
		1: {UUID: "a1", Key: "a"}, 3: {UUID: "b3", Key: "b"}, 4: {UUID: "a4", Key: "a"},
		5: {UUID: "c5", Key: "d"}, 7: {UUID: "b7", Key: "b"}, 8: {UUID: "other", Key: "b"}, 9: {UUID: "b9", Key: "b"},
	})
	for _, c := range []struct {
		offset    int64
		uuid, key string
		done      bool
	}{
		{1, "a1", "a", true},
		{2, "a2", "a", false}, // not known: from here on a's come again
		{3, "b3", "b", true},
		{4, "a4", "a", false},
		{5, "c5", "c", false}, // another user's of the same id
		{7, "b7", "b", true},
		{8, "b8", "b", false}, // another message at that offset
		{9, "b9", "b", false},
		{10, "b10", "b", false}, // beyond all
	} {
		rec := &infra.Record{Offset: c.offset, Key: []byte(c.key), Headers: []infra.Header{{Key: []byte(uuidHeader), Value: []byte(c.uuid)}}}
		assert.Equal(t, c.done, m.has(rec), "offset %d", c.offset)
	}
	assert.Equal(t, doneSet{}, m, "nothing is kept beyond the last")
	none := newDoneSet(nil)
	assert.False(t, none.has(&infra.Record{}))
}
