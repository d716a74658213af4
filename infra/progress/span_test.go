package progress

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wide is a tracker of many offsets, of which those that done says are done.
func wide(span int64, done func(offset int64) bool) *Tracker {
	tr := NewTracker(State{})
	for o := range span {
		tr.Add(o)
		if done(o) {
			tr.Done(o)
		} else {
			tr.Defer(o)
		}
	}
	return tr
}

// One user who is stuck has every second of a million events, and the others'
// are done. Every commit, a hundred a second, listed half a million runs of
// which fewer than a hundredth fit.
func TestPositionOfAWideSpan(t *testing.T) {
	const million = 1_000_000
	codec := forms["plain"]
	room := int(codec.room(0, ""))
	for name, test := range map[string]struct {
		done  func(o int64) bool
		least int // spans that are kept
	}{
		"every second is done":  {func(o int64) bool { return o%2 == 1 }, room * 8 / 2},
		"nine of ten are done":  {func(o int64) bool { return o%10 != 0 }, room * 8 / 10},
		"one of ten is done":    {func(o int64) bool { return o%10 == 9 }, room * 8 / 10},
		"the first is far away": {func(o int64) bool { return o > million/2 && o%2 == 1 }, room/2 - 2},
	} {
		t.Run(name, func(t *testing.T) {
			tr := wide(million, test.done)
			at, whole := tr.Position(codec)
			assert.Zero(t, at.Next)
			assert.False(t, whole)
			assert.LessOrEqual(t, len(at.Text), codec.Limit)
			s, err := codec.Decode(at.Next, at.Text)
			require.NoError(t, err)
			assert.GreaterOrEqual(t, len(s.Above), test.least)
			o := at.Next
			for _, s := range s.Above {
				for ; o < s.From; o++ {
					require.False(t, test.done(o), "%d is done and left out, below one that is not", o)
				}
				for ; o < s.To; o++ {
					require.True(t, test.done(o), "%d is not done", o)
				}
			}

			// What a position costs has a bound, whatever the span.
			const runs, bytes = 20, 1 << 20
			commit := func() { tr.Position(codec) }
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
