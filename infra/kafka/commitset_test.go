package kafka

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"eventserver/infra"
)

// model is the tracker without cleverness: every offset of the log and what
// happened to it.
type model struct {
	log  []int64        // the offsets that exist, rising, with gaps
	done map[int64]bool // by any owner
}

// undone lists the offsets that an owner must be given after a commit.
func (m *model) undone() (out []int64) {
	for _, o := range m.log {
		if !m.done[o] {
			out = append(out, o)
		}
	}
	return out
}

// TestTrackerAgainstModel takes a log with gaps through several owners. Each
// hands out some of it, finishes some in any order, and commits; the next one
// resumes from that commit and must be given exactly what is undone.
func TestTrackerAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{done: map[int64]bool{}}
		next := rapid.Int64Range(0, 1<<40).Draw(t, "first offset")
		for range rapid.IntRange(1, 60).Draw(t, "records") {
			next += rapid.SampledFrom([]int64{0, 0, 0, 0, 1, 5, 1000}).Draw(t, "gap")
			m.log = append(m.log, next)
			next++
		}
		position, metadata := m.log[0], ""
		if rapid.Bool().Draw(t, "no commit yet") {
			position = -2 // sarama.OffsetOldest
		}
		for range rapid.IntRange(1, 6).Draw(t, "owners") {
			position, metadata = m.own(t, position, metadata)
		}
		// the last owner reads to the end
		assert.Equal(t, m.undone(), m.handedOut(t, position, metadata))
	})
}

// own is one owner's time; it returns its last commit.
func (m *model) own(t *rapid.T, position int64, metadata string) (int64, string) {
	spans, err := decodeSpans(position, metadata)
	require.NoError(t, err)
	tr := newTracker(position, spans)
	tr.note = rapid.StringMatching(`[a-z0-9]{0,24}`).Draw(t, "note")
	i, _ := slices.BinarySearch(m.log, position)
	var open []int64
	for range rapid.IntRange(0, 120).Draw(t, "steps") {
		if i < len(m.log) && rapid.Bool().Draw(t, "hand out") {
			offset := m.log[i]
			i++
			fresh := tr.add(offset)
			require.Equal(t, !m.done[offset], fresh, "offset %d", offset)
			if fresh {
				open = append(open, offset)
			}
		} else if len(open) > 0 {
			n := rapid.IntRange(0, len(open)-1).Draw(t, "which")
			m.done[open[n]] = true
			tr.done(open[n])
			if rapid.Bool().Draw(t, "twice") {
				tr.done(open[n])
			}
			open = slices.Delete(open, n, n+1)
		}
		pos, md, fits := tr.commit()
		require.True(t, fits)
		if pos < 0 { // nothing handed out: nothing to commit
			require.Equal(t, withNote(tr.note, pos, ""), md)
			continue
		}
		note, _ := cutNote(pos, md)
		require.Equal(t, tr.note, note)
		require.GreaterOrEqual(t, pos, position, "a commit never goes back")
		position, metadata = pos, md
		// after every step: a crash now repeats what is undone and nothing else
		require.Equal(t, m.undone(), m.handedOut(t, position, metadata))
	}
	return position, metadata
}

// handedOut is what a new owner would be given after this commit.
func (m *model) handedOut(t *rapid.T, position int64, metadata string) (out []int64) {
	spans, err := decodeSpans(position, metadata)
	require.NoError(t, err)
	tr := newTracker(position, spans)
	for _, o := range m.log {
		if o >= position && tr.add(o) {
			out = append(out, o)
		}
	}
	return out
}

// A commit in the middle of a run that an earlier owner had done wrote a
// negative gap; the next owner could not read it and repeated the run.
func TestTrackerCommitsInsideResumedRun(t *testing.T) {
	tr := newTracker(4, []span{{5, 9}})
	tr.add(4)
	tr.done(4)
	require.False(t, tr.add(5))
	require.False(t, tr.add(6))
	position, metadata, fits := tr.commit()
	require.True(t, fits)
	spans, err := decodeSpans(position, metadata)
	require.NoError(t, err)
	next := newTracker(position, spans)
	for o := position; o < 9; o++ {
		assert.False(t, next.add(o), "offset %d is done", o)
	}
	assert.True(t, next.add(9))
}

// A window of 10,000 with every second message done is the worst case: as runs
// only 1,534 of the 5,000 fitted, and a crash repeated the rest.
func TestCommitHoldsAFullWindow(t *testing.T) {
	for _, c := range []struct {
		window, most int64
		note         string
	}{{10_000, 24_552, ""}, {24_552, 24_552, ""}, {40_000, 24_552, ""}, {40_000, 24_312, strings.Repeat("z", infra.MaxNote)}} {
		window, tr := c.window, newTracker(100, nil)
		tr.note = c.note
		for o := range window {
			tr.add(100 + o)
		}
		for o := int64(1); o < window; o += 2 {
			tr.done(100 + o)
		}
		position, metadata, fits := tr.commit()
		assert.EqualValues(t, 100, position)
		assert.LessOrEqual(t, len(metadata), maxMetadata)
		assert.Equal(t, window <= c.most, fits)
		spans, err := decodeSpans(position, metadata)
		require.NoError(t, err)
		for i, s := range spans {
			require.Equal(t, span{int64(100 + 2*i + 1), int64(100 + 2*i + 2)}, s)
		}
		assert.EqualValues(t, min(window, c.most)/2, len(spans))
	}
}

// Runs reach further than the bitmap where they are long and far apart.
func TestCommitKeepsLongRuns(t *testing.T) {
	spans := []span{{10, 1_000_000}, {2_000_000, 3_000_000}}
	metadata, fits := encodeSpans("", 5, spans)
	require.True(t, fits)
	assert.Less(t, len(metadata), 32)
	back, err := decodeSpans(5, metadata)
	require.NoError(t, err)
	assert.Equal(t, spans, back)

	var many []span // neither form holds them all: the lowest are kept
	for i := range int64(3000) {
		many = append(many, span{1000 * i, 1000*i + 1})
	}
	metadata, fits = encodeSpans("", 0, many)
	assert.False(t, fits)
	assert.LessOrEqual(t, len(metadata), maxMetadata)
	back, err = decodeSpans(0, metadata)
	require.NoError(t, err)
	assert.Equal(t, many[:len(back)], back)
	assert.Greater(t, len(back), 900)
}

func TestDecodeSpansRefusesForeign(t *testing.T) {
	for name, metadata := range map[string]string{
		"another program":   "consumer-1",
		"one with an n":     "node-7.",
		"endless note":      "n12",
		"long note":         "n" + strings.Repeat("1", infra.MaxNote+1) + ".",
		"no position":       "n12.x",
		"spans of a note":   "n12.7.x",
		"version":           "z" + strings.Repeat("A", 4),
		"base64":            "a!!!!",
		"half a pair":       "a" + base64.RawStdEncoding.EncodeToString([]byte{1}),
		"empty run":         "a" + base64.RawStdEncoding.EncodeToString([]byte{1, 0}),
		"out of range":      "a" + base64.RawStdEncoding.EncodeToString([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1}),
		"unfinished varint": "a" + base64.RawStdEncoding.EncodeToString([]byte{0x80}),
	} {
		spans, err := decodeSpans(7, metadata)
		assert.Error(t, err, name)
		assert.Empty(t, spans, name)
	}
}

func FuzzDecodeSpans(f *testing.F) {
	for _, s := range [][]span{nil, {{1, 2}}, {{5, 9}, {11, 500_000}}} {
		md, _ := encodeSpans("", 0, s)
		f.Add(int64(0), md)
	}
	f.Add(int64(1<<50), "aAQQ")
	f.Add(int64(9), "bqqqq")
	f.Add(int64(9), "n12.9.bqqqq")
	f.Add(int64(9), "n.8.aAQQ")
	f.Add(int64(9), "na")
	f.Add(int64(-2), "a")
	f.Add(int64(0), "x")
	f.Fuzz(func(t *testing.T, position int64, metadata string) {
		position &= 1<<60 - 1 // offsets are not negative, and no log is that long
		if len(metadata) > maxMetadata {
			return // the broker stores no more
		}
		spans, err := decodeSpans(position, metadata)
		if err != nil {
			if spans != nil {
				t.Fatal("spans beside an error")
			}
			return
		}
		at := position
		for i, s := range spans {
			if s.from < at || s.to <= s.from || i > 0 && s.from == at {
				t.Fatalf("span %v after %d", s, at)
			}
			at = s.to
		}
		note, _ := cutNote(position, metadata)
		again, fits := encodeSpans(note, position, spans)
		if !fits {
			return // far apart and many: only the lowest are kept
		}
		back, err := decodeSpans(position, again)
		if got, _ := cutNote(position, again); got != note {
			t.Fatalf("the note %q became %q", note, got)
		}
		if err != nil || !slices.Equal(back, spans) {
			t.Fatalf("round trip: %v became %v, %v", spans, back, err)
		}
	})
}
