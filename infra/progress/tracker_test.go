package progress

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"eventserver/infra"
)

// forms are both ways to write a text, with Kafka's limit.
var forms = map[string]Codec{"bound": {Limit: 4096}, "plain": {Form: Plain, Limit: 4096}}

// model is the tracker without cleverness: every offset of the log and what
// happened to it.
type model struct {
	codec Codec
	log   []int64        // the offsets that exist, rising, with gaps
	done  map[int64]bool // by any owner
}

// undone lists the offsets that an owner must be given after a restart.
func (m *model) undone() (out []int64) {
	for _, o := range m.log {
		if !m.done[o] {
			out = append(out, o)
		}
	}
	return out
}

// TestTrackerAgainstModel takes a log with gaps through several owners. Each
// hands out some of it, finishes some in any order, and keeps its progress; the
// next one resumes from that and must be given exactly what is undone.
func TestTrackerAgainstModel(t *testing.T) {
	for name, codec := range forms {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				m := &model{codec: codec, done: map[int64]bool{}}
				next := rapid.Int64Range(0, 1<<40).Draw(t, "first offset")
				for range rapid.IntRange(1, 60).Draw(t, "records") {
					next += rapid.SampledFrom([]int64{0, 0, 0, 0, 1, 5, 1000}).Draw(t, "gap")
					m.log = append(m.log, next)
					next++
				}
				at := infra.Position{Next: m.log[0]}
				if rapid.Bool().Draw(t, "nothing kept yet") {
					at.Next = -2 // Kafka's number for the oldest
				}
				for range rapid.IntRange(1, 6).Draw(t, "owners") {
					at = m.own(t, at)
				}
				// the last owner reads to the end
				assert.Equal(t, m.undone(), m.handedOut(t, at))
			})
		})
	}
}

func (m *model) tracker(t *rapid.T, at infra.Position) *Tracker {
	s, err := m.codec.Decode(at.Next, at.Text)
	require.NoError(t, err)
	return NewTracker(s)
}

// own is one owner's time; it returns the last position.
func (m *model) own(t *rapid.T, at infra.Position) infra.Position {
	tr := m.tracker(t, at)
	tr.SetNote(rapid.StringMatching(`[a-z0-9]{0,24}`).Draw(t, "note"))
	i, _ := slices.BinarySearch(m.log, at.Next)
	var open []int64
	for range rapid.IntRange(0, 120).Draw(t, "steps") {
		if i < len(m.log) && rapid.Bool().Draw(t, "hand out") {
			offset := m.log[i]
			i++
			fresh := tr.Add(offset)
			require.Equal(t, !m.done[offset], fresh, "offset %d", offset)
			if fresh {
				open = append(open, offset)
			}
		} else if len(open) > 0 {
			n := rapid.IntRange(0, len(open)-1).Draw(t, "which")
			m.done[open[n]] = true
			tr.Done(open[n])
			if rapid.Bool().Draw(t, "twice") {
				tr.Done(open[n])
			}
			open = slices.Delete(open, n, n+1)
		}
		pos, whole := tr.Position(m.codec)
		require.True(t, whole)
		if pos.Next < 0 { // nothing handed out: nothing to keep
			continue
		}
		s, err := m.codec.Decode(pos.Next, pos.Text)
		require.NoError(t, err)
		require.Equal(t, tr.Note(), s.Note)
		require.GreaterOrEqual(t, pos.Next, at.Next, "progress never goes back")
		at = pos
		// after every step: a crash now repeats what is undone and nothing else
		require.Equal(t, m.undone(), m.handedOut(t, at))
	}
	return at
}

// handedOut is what a new owner would be given from there on.
func (m *model) handedOut(t *rapid.T, at infra.Position) (out []int64) {
	tr := m.tracker(t, at)
	for _, o := range m.log {
		if o >= at.Next && tr.Add(o) {
			out = append(out, o)
		}
	}
	return out
}

// A commit in the middle of a run that an earlier owner had done wrote a
// negative gap; the next owner could not read it and repeated the run.
func TestTrackerStopsInsideResumedRun(t *testing.T) {
	for name, codec := range forms {
		tr := NewTracker(State{Next: 4, Above: []infra.Span{{From: 5, To: 9}}})
		tr.Add(4)
		tr.Done(4)
		require.False(t, tr.Add(5))
		require.False(t, tr.Add(6))
		at, whole := tr.Position(codec)
		require.True(t, whole)
		s, err := codec.Decode(at.Next, at.Text)
		require.NoError(t, err, name)
		next := NewTracker(s)
		for o := at.Next; o < 9; o++ {
			assert.False(t, next.Add(o), "offset %d is done", o)
		}
		assert.True(t, next.Add(9))
	}
}

// What is passed over counts as done, whether something is in flight below it or not.
func TestTrackerPassesOver(t *testing.T) {
	tr := NewTracker(State{Next: 4})
	tr.PassOver(10)
	at, _ := tr.Position(Codec{Limit: 1024})
	assert.Equal(t, infra.Position{Next: 10}, at)
	assert.True(t, tr.Add(10))
	tr.PassOver(20)
	tr.PassOver(15) // below what is passed over already
	assert.EqualValues(t, 20, tr.Next())
	assert.Equal(t, 10, tr.Span())
	at, _ = tr.Position(Codec{Limit: 1024})
	assert.EqualValues(t, 10, at.Next)
	tr.Done(10)
	assert.EqualValues(t, 20, tr.Low())
	assert.True(t, tr.Add(20))
}

// A window of 10,000 with every second message done is the worst case: as runs
// only 1,534 of the 5,000 fitted, and a crash repeated the rest.
func TestTextHoldsAFullWindow(t *testing.T) {
	plain, bound := forms["plain"], forms["bound"]
	note := strings.Repeat("z", infra.MaxNote)
	for _, c := range []struct {
		codec        Codec
		window, most int64
		note         string
	}{
		{plain, 10_000, 24_552, ""}, {plain, 24_552, 24_552, ""}, {plain, 40_000, 24_552, ""}, {plain, 40_000, 24_384, note},
		{bound, 10_000, 24_488, ""}, {bound, 24_488, 24_488, ""}, {bound, 40_000, 24_488, ""}, {bound, 40_000, 24_296, note},
		{Codec{Limit: 1024}, 10_000, 6_056, ""},
	} {
		window, tr := c.window, NewTracker(State{Next: 100})
		tr.SetNote(c.note)
		for o := range window {
			tr.Add(100 + o)
		}
		for o := int64(1); o < window; o += 2 {
			tr.Done(100 + o)
		}
		at, whole := tr.Position(c.codec)
		assert.EqualValues(t, 100, at.Next)
		assert.LessOrEqual(t, len(at.Text), c.codec.Limit)
		assert.Equal(t, window <= c.most, whole)
		s, err := c.codec.Decode(at.Next, at.Text)
		require.NoError(t, err)
		for i, s := range s.Above {
			require.Equal(t, infra.Span{From: int64(100 + 2*i + 1), To: int64(100 + 2*i + 2)}, s)
		}
		assert.EqualValues(t, min(window, c.most)/2, len(s.Above))
	}
}
