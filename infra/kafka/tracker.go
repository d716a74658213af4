package kafka

import "bytes"

// What the tracker knows of an offset.
const (
	stateOpen     = iota // handed out and not done
	stateDone            // done, or never there: compacted away, a transaction marker
	stateDeferred        // read past: its key holds as much as it may, it is read again later
)

// tracker knows what became of each offset of one partition, from the low
// watermark (the first offset that is not done) to the last one read. It is
// used by one goroutine at a time (the caller locks).
//
// The low watermark is the committed position. What is done above it travels
// in the commit's metadata, so that a crash repeats the unfinished and little
// else.
type tracker struct {
	note    string // goes with every commit
	low     int64  // offset of states[head]
	states  []byte // states[head:] are live
	head    int
	next    int64 // the offset after the highest read
	resumed []span
}

// span is a run of offsets [from, to).
type span struct{ from, to int64 }

// newTracker starts at the committed position, with the spans that the commit
// said were done above it.
func newTracker(position int64, done []span) *tracker {
	return &tracker{low: position, next: position, resumed: done}
}

// add notes that offset was read. It reports false when an earlier owner has
// done it. Offsets come in rising order.
func (t *tracker) add(offset int64) bool {
	for len(t.resumed) > 0 && t.resumed[0].to <= offset {
		t.resumed = t.resumed[1:]
	}
	state := byte(stateOpen)
	if len(t.resumed) > 0 && t.resumed[0].from <= offset {
		state = stateDone
	}
	if t.span() == 0 {
		t.states, t.head, t.low = t.states[:0], 0, offset
	}
	for t.low+int64(t.span()) < offset { // a gap
		t.states = append(t.states, stateDone)
	}
	t.states = append(t.states, state)
	t.next = offset + 1
	t.compact()
	return state == stateOpen
}

// set changes the state of an offset that was read and is not done.
func (t *tracker) set(offset int64, state byte) {
	if i := offset - t.low; i >= 0 && i < int64(t.span()) {
		t.states[t.head+int(i)] = state
		t.compact()
	}
}

// done marks offset as finished.
func (t *tracker) done(offset int64) { t.set(offset, stateDone) }

// is reports whether offset was read and has that state.
func (t *tracker) is(offset int64, state byte) bool {
	i := offset - t.low
	return i >= 0 && i < int64(t.span()) && t.states[t.head+int(i)] == state
}

// span is how many offsets lie between the low watermark and what was read last.
func (t *tracker) span() int { return len(t.states) - t.head }

func (t *tracker) compact() {
	for t.head < len(t.states) && t.states[t.head] == stateDone {
		t.head++
		t.low++
	}
	if t.head > 4096 && t.head*2 > len(t.states) {
		t.states = append(t.states[:0], t.states[t.head:]...)
		t.head = 0
	}
}

// commit returns the position to commit, the metadata for it, and whether the
// whole done set fitted.
func (t *tracker) commit() (position int64, metadata string, fits bool) {
	live := t.states[t.head:]
	position = t.next
	if len(live) > 0 {
		position = t.low
	}
	var spans []span
	most, cut := room(t.note), false
	for at := 0; ; {
		from := bytes.IndexByte(live[at:], stateDone)
		if from < 0 {
			break
		}
		from += at
		// Neither a run, of two bytes at least, nor a bitmap could hold more. A
		// span of a million has half a million runs, hundreds of times a second.
		if cut = int64(len(spans)) > most/2 && t.low+int64(from)-position >= most*8; cut {
			break
		}
		for at = from; at < len(live) && live[at] == stateDone; {
			at++
		}
		spans = append(spans, span{t.low + int64(from), t.low + int64(at)})
	}
	for _, s := range t.resumed {
		if s.to > t.next && !cut {
			s.from = max(s.from, t.next)
			spans = extend(spans, s.from, s.to)
		}
	}
	metadata, fits = encodeSpans(t.note, position, spans)
	return position, metadata, fits && !cut
}
