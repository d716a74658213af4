package progress

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"eventserver/infra"
)

// State is a decoded position.
type State struct {
	Next  int64        // the first offset that is not done
	Above []infra.Span // done all the same: above Next, in order, not touching
	Note  string       // of the consumer; see NoteFits
}

// Of is the progress in a partition with the bounds b.
func (s State) Of(b infra.Bounds) infra.Progress {
	p := infra.Progress{Oldest: b.Oldest, Next: max(s.Next, b.Oldest), End: b.End, Above: s.Above}
	p.End = max(p.End, p.Next) // the end was asked before
	if n := len(p.Above); n > 0 {
		p.End = max(p.End, p.Above[n-1].To)
	}
	return p
}

// NoteFits reports whether a text can be a note: at most infra.MaxNote lower-case
// letters and digits.
func NoteFits(note string) bool {
	return len(note) <= infra.MaxNote && !strings.ContainsFunc(note, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}

// ErrForeign is wrapped by the error of a Decode of text that another program
// wrote, that is damaged, or that belongs to another position. Nothing in it counts
// as done.
var ErrForeign = errors.New("progress above the position is not ours, or belongs to another position")

// Form is the format of a position's text.
type Form int

const (
	// Bound carries the position that the text is relative to, and a checksum.
	Bound Form = iota
	// Plain has neither, but for the position of a note. infra/kafka writes it
	// until all of its readers know Bound.
	Plain
)

// Codec writes and reads the text of positions. Text without anything above the
// position is empty.
type Codec struct {
	Form  Form
	Limit int // of the text, in bytes; see infra.Limits.ProgressBytes
}

// Encode writes the note and the spans relative to the position, in unpadded
// base64 because Kafka's metadata is a UTF-8 string. It reports false when the
// limit is too short for all spans; the lowest are kept then.
func (c Codec) Encode(s State) (text string, complete bool) {
	if len(s.Above) == 0 && s.Note == "" {
		return "", true
	}
	kind, body, complete := encodeSpans(s.Next, s.Above, c.room(s.Next, s.Note))
	if len(body) == 0 && s.Note == "" {
		return "", complete
	}
	if c.Form == Plain {
		return plainText(s, kind, body), complete
	}
	return boundText(s, kind, body), complete
}

// Decode reads what Encode wrote in the same form. After an error the state has
// nothing but the position.
func (c Codec) Decode(next int64, text string) (State, error) {
	s := State{Next: next}
	if text == "" {
		return s, nil
	}
	read := readBound
	if c.Form == Plain {
		read = readPlain
	}
	note, above, err := read(next, text)
	if err != nil {
		return s, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	s.Note, s.Above = note, above
	return s, nil
}

// room is how many bytes the limit leaves for the spans.
func (c Codec) room(next int64, note string) int64 {
	if c.Form == Plain {
		return raw(c.Limit - len(plainNote(next, note)) - 1)
	}
	return raw(c.Limit-1) - boundHeader - int64(len(binary.AppendVarint(nil, next))) - int64(len(note))
}

// raw is how many bytes so many characters of base64 hold.
func raw(chars int) int64 { return int64(max(chars, 0) / 4 * 3) }

// Bound text is boundMark and, in base64: the checksum of what follows, the kind,
// the position, the length of the note, the note, the spans.
const (
	boundMark   = 'p'
	boundHeader = crc32.Size + 2
)

// castagnoli is never written to.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func boundText(s State, kind byte, body []byte) string {
	buf := make([]byte, crc32.Size, boundHeader+binary.MaxVarintLen64+len(s.Note)+len(body))
	buf = append(buf, kind)
	buf = binary.AppendVarint(buf, s.Next)
	buf = append(buf, byte(len(s.Note)))
	buf = append(buf, s.Note...)
	buf = append(buf, body...)
	binary.LittleEndian.PutUint32(buf, crc32.Checksum(buf[crc32.Size:], castagnoli))
	text := make([]byte, 1+base64.RawStdEncoding.EncodedLen(len(buf)))
	text[0] = boundMark
	base64.RawStdEncoding.Encode(text[1:], buf)
	return string(text)
}

func readBound(next int64, text string) (note string, above []infra.Span, err error) {
	if text[0] != boundMark {
		return "", nil, fmt.Errorf("it begins with %q", text[0])
	}
	buf, err := base64.RawStdEncoding.DecodeString(text[1:])
	if err != nil {
		return "", nil, err
	}
	if len(buf) < boundHeader {
		return "", nil, errShort
	}
	sum, buf := binary.LittleEndian.Uint32(buf), buf[crc32.Size:]
	if sum != crc32.Checksum(buf, castagnoli) {
		return "", nil, errors.New("the checksum does not match")
	}
	kind, buf := buf[0], buf[1:]
	of, n := binary.Varint(buf)
	if n <= 0 || len(buf) == n {
		return "", nil, errShort
	}
	if of != next {
		return "", nil, fmt.Errorf("it belongs to position %d, not %d", of, next)
	}
	length, buf := int(buf[n]), buf[n+1:]
	if length > len(buf) {
		return "", nil, errShort
	}
	note = string(buf[:length])
	if !NoteFits(note) {
		return "", nil, errors.New("it has no proper note")
	}
	above, err = decodeSpans(next, kind, buf[length:])
	return note, above, err
}

var errShort = errors.New("it is cut short")
