package progress

import (
	"bytes"

	"eventserver/infra"
)

// What the tracker knows of an offset.
const (
	stateOpen     = iota // handed out and not done
	stateDone            // done, or never there: compacted away, a transaction marker
	stateDeferred        // read past because its key has no room; read again later
)

// Tracker has the state of each offset of one partition, from the low watermark (the
// first offset that is not done) to the last one read. It is used by one goroutine at a
// time (the caller locks).
//
// The kept position is the low watermark. Its text lists what is done above, so that a
// crash repeats the unfinished and little else.
type Tracker struct {
	note    string // goes with every position
	low     int64  // offset of states[head]
	states  []byte // states[head:] are live
	head    int
	next    int64 // the offset after the highest read
	resumed []infra.Span
}

// NewTracker makes a tracker that continues a kept state.
func NewTracker(s State) *Tracker {
	return &Tracker{low: s.Next, next: s.Next, resumed: s.Above, note: s.Note}
}

// Note is the note that goes with every position.
func (t *Tracker) Note() string { return t.note }

// SetNote sets it. The note must fit.
func (t *Tracker) SetNote(note string) { t.note = note }

// Low is the first offset that is not done, or the next one to read.
func (t *Tracker) Low() int64 { return t.low }

// Next is the offset after the highest that was read.
func (t *Tracker) Next() int64 { return t.next }

// Span is the number of offsets from the low watermark to the last one read.
func (t *Tracker) Span() int { return len(t.states) - t.head }

// Add notes that offset was read. It reports false when an earlier owner has
// done it. Offsets come in rising order.
func (t *Tracker) Add(offset int64) bool {
	for len(t.resumed) > 0 && t.resumed[0].To <= offset {
		t.resumed = t.resumed[1:]
	}
	state := byte(stateOpen)
	if len(t.resumed) > 0 && t.resumed[0].From <= offset {
		state = stateDone
	}
	t.PassOver(offset)
	t.states = append(t.states, state)
	t.next = offset + 1
	t.compact()
	return state == stateOpen
}

// PassOver counts the unread offsets below to as done: they do not exist, or cannot be
// read.
func (t *Tracker) PassOver(to int64) {
	if t.Span() == 0 {
		t.states, t.head, t.low = t.states[:0], 0, max(t.low, to)
	}
	for t.low+int64(t.Span()) < to { // a gap
		t.states = append(t.states, stateDone)
	}
	t.next = max(t.next, to)
}

// Done marks an offset that was read as done.
func (t *Tracker) Done(offset int64) { t.set(offset, stateDone) }

// Defer marks an offset that was read as one to read again.
func (t *Tracker) Defer(offset int64) { t.set(offset, stateDeferred) }

// TakeUp marks a deferred offset as handed out.
func (t *Tracker) TakeUp(offset int64) { t.set(offset, stateOpen) }

// IsOpen reports whether offset is handed out and not done.
func (t *Tracker) IsOpen(offset int64) bool { return t.is(offset, stateOpen) }

// IsDeferred reports whether offset is deferred.
func (t *Tracker) IsDeferred(offset int64) bool { return t.is(offset, stateDeferred) }

// set changes the state of an offset that was read and is not done.
func (t *Tracker) set(offset int64, state byte) {
	if i := offset - t.low; i >= 0 && i < int64(t.Span()) {
		t.states[t.head+int(i)] = state
		t.compact()
	}
}

func (t *Tracker) is(offset int64, state byte) bool {
	i := offset - t.low
	return i >= 0 && i < int64(t.Span()) && t.states[t.head+int(i)] == state
}

// DoneAll marks everything that was read as done.
func (t *Tracker) DoneAll() { t.states, t.head, t.low = t.states[:0], 0, t.next }

// Clean reports whether everything that was read is done, and nothing is behind it.
func (t *Tracker) Clean() bool {
	return t.Span() == 0 && (len(t.resumed) == 0 || t.resumed[len(t.resumed)-1].To <= t.next)
}

func (t *Tracker) compact() {
	for t.head < len(t.states) && t.states[t.head] == stateDone {
		t.head++
		t.low++
	}
	if t.head > 4096 && t.head*2 > len(t.states) {
		t.states = append(t.states[:0], t.states[t.head:]...)
		t.head = 0
	}
}

// End is the position to keep once everything that was read is done. whole: its text
// lists everything done.
func (t *Tracker) End(c Codec) (p infra.Position, whole bool) {
	s := State{Next: t.next, Note: t.note}
	for _, r := range t.resumed {
		if r.To > t.next {
			s.Above = extend(s.Above, max(r.From, t.next), r.To)
		}
	}
	text, whole := c.Encode(s)
	return infra.Position{Next: s.Next, Text: text}, whole
}

// Position is the position to keep. whole: its text lists everything done.
func (t *Tracker) Position(c Codec) (p infra.Position, whole bool) {
	live := t.states[t.head:]
	s := State{Next: t.next, Note: t.note}
	if len(live) > 0 {
		s.Next = t.low
	}
	most, cut := c.room(s.Next, t.note), false
	for at := 0; ; {
		from := bytes.IndexByte(live[at:], stateDone)
		if from < 0 {
			break
		}
		from += at
		// Neither a run, of two bytes at least, nor a bitmap could hold more. A
		// span of a million has half a million runs, hundreds of times a second.
		if cut = int64(len(s.Above)) > most/2 && t.low+int64(from)-s.Next >= most*8; cut {
			break
		}
		for at = from; at < len(live) && live[at] == stateDone; {
			at++
		}
		s.Above = append(s.Above, infra.Span{From: t.low + int64(from), To: t.low + int64(at)})
	}
	for _, r := range t.resumed {
		if r.To > t.next && !cut {
			s.Above = extend(s.Above, max(r.From, t.next), r.To)
		}
	}
	text, whole := c.Encode(s)
	return infra.Position{Next: s.Next, Text: text}, whole && !cut
}
