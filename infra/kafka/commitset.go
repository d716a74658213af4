package kafka

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
)

// maxMetadata is Kafka's default offset.metadata.max.bytes.
const maxMetadata = 4096

// commitVersion is the first character of the commit metadata.
const commitVersion = 'a'

// span is a run of offsets [from, to).
type span struct{ from, to int64 }

// tracker knows which offsets of one partition were handed out and which of
// them are done. It is used by one goroutine at a time (the caller locks).
//
// The committed position is the low watermark: the first offset handed out and
// not done. What is done above it travels in the commit's metadata, so that a
// crash repeats the unfinished and little else. Offsets that were never handed
// out (compacted away, transaction markers) lie in gaps and count as done.
type tracker struct {
	entries []entry // in offset order; entries[head:] are live
	head    int
	next    int64 // the offset after the highest handed out
	resumed []span
}

type entry struct {
	offset int64
	done   bool
}

// newTracker starts at the committed position, with the spans that the commit
// said were done above it.
func newTracker(position int64, done []span) *tracker {
	return &tracker{next: position, resumed: done}
}

// add hands out offset. It reports false when an earlier owner has done it.
// Offsets come in rising order.
func (t *tracker) add(offset int64) bool {
	for len(t.resumed) > 0 && t.resumed[0].to <= offset {
		t.resumed = t.resumed[1:]
	}
	done := len(t.resumed) > 0 && t.resumed[0].from <= offset
	t.entries = append(t.entries, entry{offset: offset, done: done})
	t.next = offset + 1
	t.compact()
	return !done
}

// done marks offset as finished.
func (t *tracker) done(offset int64) {
	live := t.entries[t.head:]
	lo, hi := 0, len(live)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if live[mid].offset < offset {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(live) && live[lo].offset == offset {
		live[lo].done = true
	}
	t.compact()
}

func (t *tracker) compact() {
	for t.head < len(t.entries) && t.entries[t.head].done {
		t.head++
	}
	if t.head > 1024 && t.head*2 > len(t.entries) {
		t.entries = append(t.entries[:0], t.entries[t.head:]...)
		t.head = 0
	}
}

// commit returns the position to commit, the metadata for it, and whether the
// whole done set fitted.
func (t *tracker) commit() (position int64, metadata string, fits bool) {
	live := t.entries[t.head:]
	if len(live) == 0 {
		if len(t.resumed) == 0 {
			return t.next, "", true
		}
		md, ok := encodeSpans(t.next, t.resumed)
		return t.next, md, ok
	}
	position = live[0].offset
	var spans []span
	open := false
	for _, e := range live {
		switch {
		case e.done && open:
			spans[len(spans)-1].to = e.offset + 1
		case e.done:
			spans = append(spans, span{e.offset, e.offset + 1})
			open = true
		default:
			open = false
		}
	}
	for _, s := range t.resumed {
		if s.to > t.next {
			spans = append(spans, span{max(s.from, t.next), s.to})
		}
	}
	metadata, fits = encodeSpans(position, spans)
	return position, metadata, fits
}

// encodeSpans writes the spans as uvarint pairs (gap, length) relative to
// position, in unpadded base64 because Kafka's metadata is a UTF-8 string.
// When they do not fit in maxMetadata it keeps the lowest ones.
func encodeSpans(position int64, spans []span) (string, bool) {
	if len(spans) == 0 {
		return "", true
	}
	const limit = (maxMetadata - 1) / 4 * 3
	buf := make([]byte, 0, 64)
	at := position
	for _, s := range spans {
		mark := len(buf)
		buf = binary.AppendUvarint(buf, uint64(s.from-at))
		buf = binary.AppendUvarint(buf, uint64(s.to-s.from))
		if len(buf) > limit {
			return string(commitVersion) + base64.RawStdEncoding.EncodeToString(buf[:mark]), false
		}
		at = s.to
	}
	return string(commitVersion) + base64.RawStdEncoding.EncodeToString(buf), true
}

// decodeSpans reads what encodeSpans wrote. Metadata of another program or
// version is an error: the caller then repeats what lies above the position.
func decodeSpans(position int64, metadata string) ([]span, error) {
	if metadata == "" {
		return nil, nil
	}
	if metadata[0] != commitVersion {
		return nil, fmt.Errorf("commit metadata: unknown version %q", metadata[0])
	}
	buf, err := base64.RawStdEncoding.DecodeString(metadata[1:])
	if err != nil {
		return nil, fmt.Errorf("commit metadata: %w", err)
	}
	var spans []span
	at := position
	for len(buf) > 0 {
		gap, n := binary.Uvarint(buf)
		if n <= 0 {
			return nil, errors.New("commit metadata: cut short")
		}
		buf = buf[n:]
		length, n := binary.Uvarint(buf)
		if n <= 0 || length == 0 {
			return nil, errors.New("commit metadata: cut short or empty run")
		}
		buf = buf[n:]
		const far = 1 << 40 // no window is that wide: the metadata is not ours
		if gap > far || length > far {
			return nil, errors.New("commit metadata: run out of range")
		}
		from := at + int64(gap)
		at = from + int64(length)
		spans = append(spans, span{from, at})
	}
	return spans, nil
}
