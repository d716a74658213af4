package kafka

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wide is a tracker of many offsets, of which those that done says are done.
func wide(span int64, done func(offset int64) bool) *tracker {
	tr := newTracker(0, nil)
	for o := range span {
		tr.add(o)
		if done(o) {
			tr.done(o)
		} else {
			tr.set(o, stateDeferred)
		}
	}
	return tr
}

// One user who is stuck has every second of a million events, and the others'
// are done. Every commit, a hundred a second, listed half a million runs of
// which fewer than a hundredth fit.
func TestCommitOfAWideSpan(t *testing.T) {
	const million = 1_000_000
	for name, test := range map[string]struct {
		done  func(o int64) bool
		least int // spans that are kept
	}{
		"every second is done":  {func(o int64) bool { return o%2 == 1 }, int(room("")) * 8 / 2},
		"nine of ten are done":  {func(o int64) bool { return o%10 != 0 }, int(room("")) * 8 / 10},
		"one of ten is done":    {func(o int64) bool { return o%10 == 9 }, int(room("")) * 8 / 10},
		"the first is far away": {func(o int64) bool { return o > million/2 && o%2 == 1 }, int(room(""))/2 - 2},
	} {
		t.Run(name, func(t *testing.T) {
			tr := wide(million, test.done)
			position, metadata, fits := tr.commit()
			assert.Zero(t, position)
			assert.False(t, fits)
			assert.LessOrEqual(t, len(metadata), maxMetadata)
			spans, err := decodeSpans(position, metadata)
			require.NoError(t, err)
			assert.GreaterOrEqual(t, len(spans), test.least)
			o := position
			for _, s := range spans {
				for ; o < s.from; o++ {
					require.False(t, test.done(o), "%d is done and left out, below one that is not", o)
				}
				for ; o < s.to; o++ {
					require.True(t, test.done(o), "%d is not done", o)
				}
			}

			// What a commit costs has a bound, whatever the span.
			const runs, bytes = 20, 1 << 20
			commit := func() { tr.commit() }
			assert.LessOrEqual(t, testing.AllocsPerRun(runs, commit), 64.0)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range runs {
				commit()
			}
			runtime.ReadMemStats(&after)
			assert.Less(t, (after.TotalAlloc-before.TotalAlloc)/runs, uint64(bytes))
		})
	}
}
