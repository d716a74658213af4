package progress

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

// Runs reach further than the bitmap where they are long and far apart.
func TestTextKeepsLongRuns(t *testing.T) {
	for name, codec := range forms {
		s := State{Next: 5, Above: []infra.Span{{From: 10, To: 1_000_000}, {From: 2_000_000, To: 3_000_000}}}
		text, whole := codec.Encode(s)
		require.True(t, whole)
		assert.Less(t, len(text), 40)
		back, err := codec.Decode(5, text)
		require.NoError(t, err)
		assert.Equal(t, s, back, name)

		var many []infra.Span // neither way holds them all: the lowest are kept
		for i := range int64(3000) {
			many = append(many, infra.Span{From: 1000 * i, To: 1000*i + 1})
		}
		text, whole = codec.Encode(State{Above: many})
		assert.False(t, whole)
		assert.LessOrEqual(t, len(text), codec.Limit)
		back, err = codec.Decode(0, text)
		require.NoError(t, err)
		assert.Equal(t, many[:len(back.Above)], back.Above)
		assert.Greater(t, len(back.Above), 900)
	}
}

// A limit too short for anything loses what is above, and no more.
func TestTextWithoutRoom(t *testing.T) {
	for _, form := range []Form{Bound, Plain} {
		for limit := range 64 {
			codec := Codec{Form: form, Limit: limit}
			s := State{Next: 1 << 40, Above: []infra.Span{{From: 1<<40 + 1, To: 1<<40 + 2}, {From: 1<<40 + 9, To: 1<<40 + 99}}}
			text, whole := codec.Encode(s)
			back, err := codec.Decode(s.Next, text)
			require.NoError(t, err)
			assert.Equal(t, whole, slices.Equal(s.Above, back.Above))
			assert.LessOrEqual(t, len(text), limit)
			done, said := s.Of(infra.Bounds{}), back.Of(infra.Bounds{})
			for o := s.Next; o < s.Next+100; o++ {
				assert.True(t, done.Done(o) || !said.Done(o), "%d", o)
			}
		}
	}
}

// The group was set back by a tool that left the text as it was: the runs above the
// old position were taken for runs above the new one, and those events were lost.
func TestBoundTextOfAnotherPosition(t *testing.T) {
	codec := forms["bound"]
	text, _ := codec.Encode(State{Next: 100, Above: []infra.Span{{From: 101, To: 200}}, Note: "n1"})
	for _, next := range []int64{0, 99, 101, -2, 1 << 50} {
		s, err := codec.Decode(next, text)
		require.ErrorIs(t, err, ErrForeign)
		assert.Equal(t, State{Next: next}, s)
	}
	s, err := codec.Decode(100, text)
	require.NoError(t, err)
	assert.Equal(t, State{Next: 100, Above: []infra.Span{{From: 101, To: 200}}, Note: "n1"}, s)
}

// One changed character is noticed, wherever it is, and so is one that is missing.
func TestBoundTextThatChanged(t *testing.T) {
	codec := forms["bound"]
	rapid.Check(t, func(t *rapid.T) {
		s := State{Next: rapid.Int64Range(0, 1<<50).Draw(t, "next"), Note: rapid.StringMatching(`[a-z0-9]{0,24}`).Draw(t, "note")}
		at := s.Next
		for range rapid.IntRange(1, 40).Draw(t, "spans") {
			from := at + rapid.Int64Range(1, 100).Draw(t, "gap")
			at = from + rapid.Int64Range(1, 100).Draw(t, "length")
			s.Above = append(s.Above, infra.Span{From: from, To: at})
		}
		text, whole := codec.Encode(s)
		require.True(t, whole)
		back, err := codec.Decode(s.Next, text)
		require.NoError(t, err)
		require.Equal(t, s, back)

		i := rapid.IntRange(0, len(text)-1).Draw(t, "where")
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		c := alphabet[rapid.IntRange(0, len(alphabet)-1).Draw(t, "character")]
		for _, other := range []string{text[:i] + string(c) + text[i+1:], text[:i] + text[i+1:], text[:i]} {
			back, err := codec.Decode(s.Next, other)
			if err == nil { // the last character has bits that mean nothing
				require.True(t, other == "" || slices.Equal(s.Above, back.Above), "%q", other)
				continue
			}
			require.ErrorIs(t, err, ErrForeign)
			require.Equal(t, State{Next: s.Next}, back)
		}
	})
}

// What the form of another release says is foreign where nobody else writes.
func TestBoundReadsNoPlainText(t *testing.T) {
	text, _ := forms["plain"].Encode(State{Next: 7, Above: []infra.Span{{From: 8, To: 9}}})
	_, err := forms["bound"].Decode(7, text)
	require.ErrorIs(t, err, ErrForeign)
}

// Texts that the release before wrote.
func TestPlainReadsWhatThereIs(t *testing.T) {
	for text, want := range map[string]State{
		"aAQEBAQ":    {Next: 7, Above: []infra.Span{{From: 8, To: 9}, {From: 10, To: 11}}},
		"n12.7.":     {Next: 7, Note: "12"},
		"n12.7.aAQE": {Next: 7, Note: "12", Above: []infra.Span{{From: 8, To: 9}}},
		"n12.8.aAQE": {Next: 7}, // of another position
		"bBg":        {Next: 7, Above: []infra.Span{{From: 8, To: 10}}},
	} {
		s, err := forms["plain"].Decode(7, text)
		require.NoError(t, err, text)
		assert.Equal(t, want, s, text)
	}
}

func TestDecodeRefusesForeign(t *testing.T) {
	for name, text := range map[string]string{
		"another program":   "consumer-1",
		"one with an n":     "node-7.",
		"endless note":      "n12",
		"long note":         "n" + strings.Repeat("1", infra.MaxNote+1) + ".",
		"no position":       "n12.x",
		"spans of a note":   "n12.7.x",
		"version":           "z" + strings.Repeat("A", 4),
		"base64":            "a!!!!",
		"nothing":           "a",
		"half a pair":       "a" + base64.RawStdEncoding.EncodeToString([]byte{1}),
		"empty run":         "a" + base64.RawStdEncoding.EncodeToString([]byte{1, 0}),
		"out of range":      "a" + base64.RawStdEncoding.EncodeToString([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1}),
		"unfinished varint": "a" + base64.RawStdEncoding.EncodeToString([]byte{0x80}),
		"a mark alone":      "p",
		"no checksum":       "pAAAA",
		"checksum":          "p" + base64.RawStdEncoding.EncodeToString([]byte{1, 2, 3, 4, 'a', 14, 0}),
		"long mark":         "p!!!!",
	} {
		for form, codec := range forms {
			s, err := codec.Decode(7, text)
			require.ErrorIs(t, err, ErrForeign, "%s, %s", name, form)
			assert.Equal(t, State{Next: 7}, s, "%s, %s", name, form)
		}
	}
}

func TestOf(t *testing.T) {
	bounds := infra.Bounds{Oldest: 5, End: 9}
	assert.Equal(t, infra.Progress{Oldest: 5, Next: 5, End: 9}, State{Next: 2}.Of(bounds))
	assert.Equal(t, infra.Progress{Oldest: 5, Next: 12, End: 12}, State{Next: 12}.Of(bounds), "more came since the end was asked")
	above := []infra.Span{{From: 8, To: 11}}
	assert.Equal(t, infra.Progress{Oldest: 5, Next: 7, End: 11, Above: above}, State{Next: 7, Above: above}.Of(bounds))
}

func FuzzDecode(f *testing.F) {
	for _, s := range [][]infra.Span{nil, {{From: 1, To: 2}}, {{From: 5, To: 9}, {From: 11, To: 500_000}}} {
		for _, codec := range forms {
			text, _ := codec.Encode(State{Above: s})
			f.Add(int64(0), text)
			text, _ = codec.Encode(State{Above: s, Note: "n1"})
			f.Add(int64(0), text)
		}
	}
	f.Add(int64(1<<50), "aAQQ")
	f.Add(int64(9), "bqqqq")
	f.Add(int64(9), "n12.9.bqqqq")
	f.Add(int64(9), "n.8.aAQQ")
	f.Add(int64(9), "na")
	f.Add(int64(-2), "a")
	f.Add(int64(0), "x")
	f.Add(int64(0), "pAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, next int64, text string) {
		next &= 1<<60 - 1 // offsets are not negative, and no log is that long
		for _, codec := range forms {
			if len(text) > codec.Limit {
				return // no log stores more
			}
			s, err := codec.Decode(next, text)
			if err != nil {
				if s.Above != nil || s.Note != "" || s.Next != next {
					t.Fatal("something beside an error")
				}
				continue
			}
			at := next
			for i, span := range s.Above {
				if span.From < at || span.To <= span.From || i > 0 && span.From == at {
					t.Fatalf("span %v after %d", span, at)
				}
				at = span.To
			}
			again, whole := codec.Encode(s)
			if !whole {
				continue // far apart and many: only the lowest are kept
			}
			back, err := codec.Decode(next, again)
			if err != nil || back.Note != s.Note || !slices.Equal(back.Above, s.Above) {
				t.Fatalf("round trip: %v became %v, %v", s, back, err)
			}
		}
	})
}
