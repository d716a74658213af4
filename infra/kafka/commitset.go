package kafka

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"eventserver/infra"
)

// maxMetadata is Kafka's default offset.metadata.max.bytes.
const maxMetadata = 4096

// room is how many bytes maxMetadata holds behind the note and the version, in
// base64.
func room(note string) int64 {
	return int64((maxMetadata - len(withNote(note, math.MaxInt64, "")) - 1) / 4 * 3)
}

// The first character of the commit metadata says how the rest is written.
const (
	commitRuns   = 'a' // uvarint pairs: gap, length
	commitBitmap = 'b' // one bit an offset, from the position on
	commitNote   = 'n' // a note, noteEnd, the position in base 36, noteEnd and the rest: nothing, runs or a bitmap
	noteEnd      = "."
)

// withNote puts a note of the consumer's before the rest. The position goes with
// it: a tool that sets a group back may leave the metadata as it is.
func withNote(note string, position int64, metadata string) string {
	if note == "" {
		return metadata
	}
	return string(commitNote) + note + noteEnd + strconv.FormatInt(position, 36) + noteEnd + metadata
}

// cutNote takes it off again. The note is empty when it was of another position.
func cutNote(position int64, metadata string) (note, rest string) {
	if metadata == "" || metadata[0] != commitNote {
		return "", metadata
	}
	note, rest, ended := strings.Cut(metadata[1:], noteEnd)
	of, rest, endedToo := strings.Cut(rest, noteEnd)
	if !ended || !endedToo || !noteFits(note) {
		return "", metadata // not ours
	}
	if of != strconv.FormatInt(position, 36) {
		return "", ""
	}
	return note, rest
}

func noteFits(note string) bool {
	return len(note) <= infra.MaxNote && !strings.ContainsFunc(note, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}

// encodeSpans writes the note and the spans relative to position, in unpadded base64 because
// Kafka's metadata is a UTF-8 string. Runs are short while little is stuck; when
// many users are, every second message may be a run of its own, and a bitmap
// holds 24,552 offsets (without a note) whatever their pattern. It reports false when even that
// is too short; the lowest spans are kept then.
func encodeSpans(note string, position int64, spans []span) (string, bool) {
	if len(spans) == 0 {
		return withNote(note, position, ""), true
	}
	most := room(note)
	runs, reach := appendRuns(position, spans, most)
	version, buf, end := byte(commitRuns), runs, spans[len(spans)-1].to
	if reach < end && reach-position < most*8 {
		version, buf = commitBitmap, appendBitmap(position, spans, most)
		reach = min(end, position+most*8)
	}
	return withNote(note, position, string(version)+base64.RawStdEncoding.EncodeToString(buf)), reach == end
}

// appendRuns writes what fits in most bytes and returns the end of the last span
// written.
func appendRuns(position int64, spans []span, most int64) (buf []byte, reach int64) {
	reach = position
	for _, s := range spans {
		mark := len(buf)
		buf = binary.AppendUvarint(buf, uint64(s.from-reach))
		buf = binary.AppendUvarint(buf, uint64(s.to-s.from))
		if int64(len(buf)) > most {
			return buf[:mark], reach
		}
		reach = s.to
	}
	return buf, reach
}

func appendBitmap(position int64, spans []span, most int64) []byte {
	bits := min(spans[len(spans)-1].to-position, most*8)
	buf := make([]byte, (bits+7)/8)
	for _, s := range spans {
		for i := s.from - position; i < min(s.to-position, bits); i++ {
			buf[i/8] |= 1 << (i % 8)
		}
	}
	return buf
}

// decodeSpans reads the spans that encodeSpans wrote. Metadata of another program
// or version is an error: the caller then repeats what lies above the position.
func decodeSpans(position int64, metadata string) ([]span, error) {
	_, metadata = cutNote(position, metadata)
	if metadata == "" {
		return nil, nil
	}
	buf, err := base64.RawStdEncoding.DecodeString(metadata[1:])
	if err != nil {
		return nil, fmt.Errorf("commit metadata: %w", err)
	}
	switch metadata[0] {
	case commitRuns:
		return decodeRuns(position, buf)
	case commitBitmap:
		return decodeBitmap(position, buf), nil
	}
	return nil, fmt.Errorf("commit metadata: unknown version %q", metadata[0])
}

func decodeRuns(position int64, buf []byte) (spans []span, err error) {
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
		spans = extend(spans, from, at)
	}
	return spans, nil
}

func decodeBitmap(position int64, buf []byte) (spans []span) {
	for i := range int64(len(buf)) * 8 {
		if buf[i/8]&(1<<(i%8)) != 0 {
			spans = extend(spans, position+i, position+i+1)
		}
	}
	return spans
}

// extend adds [from, to) behind spans, joining what touches.
func extend(spans []span, from, to int64) []span {
	if n := len(spans); n > 0 && spans[n-1].to == from {
		spans[n-1].to = to
		return spans
	}
	return append(spans, span{from, to})
}
