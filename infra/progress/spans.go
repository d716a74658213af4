package progress

import (
	"encoding/binary"
	"errors"

	"eventserver/infra"
)

// Spans are written in the shorter of two ways. Runs are short while little is
// stuck. When many users are, every second message may be a run of its own, and a
// bitmap of 3,069 bytes holds 24,552 offsets whatever their pattern.
const (
	kindRuns   = 'a' // uvarint pairs: gap, length
	kindBitmap = 'b' // one bit an offset, from the position on
)

// encodeSpans writes spans in at most limit bytes. It reports false when they do not fit;
// the lowest are kept then.
func encodeSpans(next int64, spans []infra.Span, limit int64) (kind byte, body []byte, complete bool) {
	if len(spans) == 0 {
		return kindRuns, nil, true
	}
	runs, reach := appendRuns(next, spans, limit)
	kind, body, end := byte(kindRuns), runs, spans[len(spans)-1].To
	if reach < end && reach-next < limit*8 {
		kind, body = kindBitmap, appendBitmap(next, spans, limit)
		reach = min(end, next+limit*8)
	}
	return kind, body, reach == end
}

// appendRuns writes what fits in limit bytes and returns the end of the last span
// written.
func appendRuns(next int64, spans []infra.Span, limit int64) (buf []byte, reach int64) {
	reach = next
	for _, s := range spans {
		mark := len(buf)
		buf = binary.AppendUvarint(buf, uint64(s.From-reach))
		buf = binary.AppendUvarint(buf, uint64(s.To-s.From))
		if int64(len(buf)) > limit {
			return buf[:mark], reach
		}
		reach = s.To
	}
	return buf, reach
}

func appendBitmap(next int64, spans []infra.Span, limit int64) []byte {
	bits := min(spans[len(spans)-1].To-next, limit*8)
	buf := make([]byte, (bits+7)/8)
	for _, s := range spans {
		for i := s.From - next; i < min(s.To-next, bits); i++ {
			buf[i/8] |= 1 << (i % 8)
		}
	}
	return buf
}

func decodeSpans(next int64, kind byte, body []byte) ([]infra.Span, error) {
	switch kind {
	case kindRuns:
		return decodeRuns(next, body)
	case kindBitmap:
		return decodeBitmap(next, body), nil
	}
	return nil, unknownKind(kind)
}

func decodeRuns(next int64, buf []byte) (spans []infra.Span, err error) {
	at := next
	for len(buf) > 0 {
		gap, n := binary.Uvarint(buf)
		if n <= 0 {
			return nil, errShort
		}
		buf = buf[n:]
		length, n := binary.Uvarint(buf)
		if n <= 0 || length == 0 {
			return nil, errors.New("it is cut short or has an empty run")
		}
		buf = buf[n:]
		const far = 1 << 40 // no window is that wide: the text is not ours
		if gap > far || length > far {
			return nil, errors.New("it has a run out of range")
		}
		from := at + int64(gap)
		at = from + int64(length)
		spans = extend(spans, from, at)
	}
	return spans, nil
}

func decodeBitmap(next int64, buf []byte) (spans []infra.Span) {
	for i := range int64(len(buf)) * 8 {
		if buf[i/8]&(1<<(i%8)) != 0 {
			spans = extend(spans, next+i, next+i+1)
		}
	}
	return spans
}

// extend adds [from, to) behind spans, joining what touches.
func extend(spans []infra.Span, from, to int64) []infra.Span {
	if n := len(spans); n > 0 && spans[n-1].To == from {
		spans[n-1].To = to
		return spans
	}
	return append(spans, infra.Span{From: from, To: to})
}
