package expr

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

var (
	errEnd     = errors.New("it ends in the middle of a value")
	errNesting = fmt.Errorf("nested more than %d levels deep", maxDepth)
	errMany    = errors.New("more values than were to be read")
)

func errAt(i int, what string) error { return fmt.Errorf("%s at byte %d", what, i) }

// What reading JSON takes, in ns: for each value, for eight bytes of a text or a
// name, and for each byte of a number, a word, space, or a text with escapes.
const (
	skipWork   = 20
	stringWork = 6
	slowWork   = 4
)

// skip gives the end of the JSON value that begins at b[i], and what reading over
// it has taken, in ns; errMany when that is more than most. It allocates nothing:
// what an expression does not look at costs the reading only.
func skip(b []byte, i, most int) (end, took int, err error) {
	var inObject [maxDepth + 1]bool
	depth := 0
	for {
		if took > most {
			return 0, took, errMany
		}
		took += skipWork
		from, open := i, false
		switch c := at(b, i); c {
		case '{', '[':
			if depth > maxDepth {
				return 0, took, errNesting
			}
			inObject[depth] = c == '{'
			i = space(b, i+1)
			if n := at(b, i); n == '}' && c == '{' || n == ']' && c == '[' {
				i++
				break
			}
			depth++
			open = true
		case '"':
			i, err = skipString(b, i)
			took += stringTook(b[from:max(from, i)])
		default:
			i, err = skipWord(b, i)
			took += (i - from) * slowWork
		}
		if err != nil {
			return 0, took, err
		}
		for !open { // a value has ended
			if depth == 0 {
				return i, took, nil
			}
			from, i = i, space(b, i)
			switch c := at(b, i); {
			case c == ',':
				i = space(b, i+1)
				took += (i - from - 1) * slowWork
				open = true
			case c == '}' && inObject[depth-1], c == ']' && !inObject[depth-1]:
				i++
				depth--
			case i >= len(b):
				return 0, took, errEnd
			default:
				return 0, took, errAt(i, "no comma or bracket")
			}
		}
		if inObject[depth-1] {
			from = i
			if _, i, err = skipName(b, i); err != nil {
				return 0, took, err
			}
			took += stringTook(b[from:i])
		}
	}
}

func stringTook(quoted []byte) int {
	if hasEscape(quoted) {
		return len(quoted) * slowWork
	}
	return len(quoted) * stringWork / 8
}

// at is b[i], and 0 after the end.
func at(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipName gives the end of the name at b[i], and where its value begins.
func skipName(b []byte, i int) (end, value int, err error) {
	if at(b, i) != '"' {
		return 0, 0, errAt(i, "no name of a member")
	}
	if end, err = skipString(b, i); err != nil {
		return 0, 0, err
	}
	if i = space(b, end); at(b, i) != ':' {
		return 0, 0, errAt(i, "no colon")
	}
	return end, space(b, i+1), nil
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

func skipString(b []byte, i int) (int, error) {
	for i++; i < len(b); {
		// Eight bytes at once while none is a quote, a backslash or below 0x20.
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			q, s := w^(ones*'"'), w^(ones*'\\')
			if ((q-ones)&^q|(s-ones)&^s|(w-ones*0x20)&^w)&highs != 0 {
				break
			}
			i += 8
		}
		if i >= len(b) {
			break
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, nil
		case c == '\\':
			n := escape(b[i:])
			if n == 0 {
				return 0, errAt(i, "no escape of JSON")
			}
			i += n
		case c < 0x20:
			return 0, errAt(i, "a control character in a string")
		default:
			i++
		}
	}
	return 0, errEnd
}

// escape is the length of the escape sequence that b begins with, 0 for none.
func escape(b []byte) int {
	switch at(b, 1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		for i := 2; i < 6; i++ {
			if c := at(b, i); (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

func skipWord(b []byte, i int) (int, error) {
	start := i
	for i < len(b) && (b[i] >= '0' && b[i] <= '9' || b[i] >= 'a' && b[i] <= 'z' || b[i] == '.' || b[i] == '-' || b[i] == '+' || b[i] == 'E') {
		i++
	}
	switch w := b[start:i]; {
	case len(w) == 0 && start >= len(b):
		return 0, errEnd
	case len(w) > 0 && (w[0] == '-' || w[0] >= '0' && w[0] <= '9') && isNumber(w), string(w) == "true", string(w) == "false", string(w) == "null":
		return i, nil
	}
	return 0, errAt(start, "no JSON value")
}

// isNumber knows the grammar of a JSON number.
func isNumber(w []byte) bool {
	i := 0
	digits := func() bool {
		from := i
		for i < len(w) && w[i] >= '0' && w[i] <= '9' {
			i++
		}
		return i > from
	}
	if at(w, i) == '-' {
		i++
	}
	if at(w, i) == '0' {
		i++
	} else if !digits() {
		return false
	}
	if at(w, i) == '.' {
		i++
		if !digits() {
			return false
		}
	}
	if c := at(w, i); c == 'e' || c == 'E' {
		i++
		if c := at(w, i); c == '+' || c == '-' {
			i++
		}
		if !digits() {
			return false
		}
	}
	return i == len(w)
}

// text is the string that quoted, a JSON string, stands for.
func text(quoted []byte) (string, error) {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), nil
	}
	out, err := jsontext.AppendUnquote(make([]byte, 0, len(inner)), quoted)
	if err != nil {
		return "", fmt.Errorf("the event's body cannot be read as JSON: %w", err)
	}
	return string(out), nil
}

// wholeJSON is b without the space around it, when b is UTF-8.
func wholeJSON(b []byte) ([]byte, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("it is not UTF-8")
	}
	start := space(b, 0)
	end := len(b)
	for end > start && space(b[end-1:end], 0) == 1 {
		end--
	}
	return b[start:end], nil
}

// appendCompact copies a JSON value as it is written, without the space between
// its parts.
func appendCompact(dst, raw []byte) []byte {
	for from, i := 0, 0; ; {
		if i >= len(raw) {
			return append(dst, raw[from:]...)
		}
		switch raw[i] {
		case '"':
			end, err := skipString(raw, i)
			if err != nil { // it was read before
				return append(dst, raw[from:]...)
			}
			i = end
		case ' ', '\n', '\t', '\r':
			dst = append(dst, raw[from:i]...)
			i = space(raw, i)
			from = i
		default:
			i++
		}
	}
}
