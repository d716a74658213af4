package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"eventserver/app/jsonfault"
)

// Fault says what is wrong with a posted body, where, and what to do about it.
// Every error of this package is a *Fault.
type Fault struct {
	Index    int    // position in the array; -1: the body as a whole, or a single object
	Field    string // path inside the object, e.g. "id" or "data.items[2].sku"; "": the object or body itself
	Reason   string // why, and the cure
	TooLarge bool   // over MaxEventBytes or MaxEvents: answer 413, not 400
}

// Error gives one line such as `[3].id: must not be empty; ...`.
func (f *Fault) Error() string {
	var b strings.Builder
	if f.Index >= 0 {
		b.WriteByte('[')
		b.WriteString(strconv.Itoa(f.Index))
		b.WriteByte(']')
		if f.Field != "" && f.Field[0] != '[' {
			b.WriteByte('.')
		}
	}
	b.WriteString(f.Field)
	if b.Len() == 0 {
		b.WriteString("body")
	}
	b.WriteString(": ")
	b.WriteString(f.Reason)
	return b.String()
}

// Bounds of what a fault repeats of the client's own names: a name may be
// megabytes long, and the fault goes into an answer and a log.
const (
	maxPathName  = 64
	maxPathDepth = 16
)

// fieldPath writes the tokens of a JSON pointer as a.b[2].c.
func fieldPath(p jsontext.Pointer) string {
	var b strings.Builder
	n := 0
	for tok := range p.Tokens() {
		if n++; n > maxPathDepth {
			b.WriteString("...")
			break
		}
		switch {
		case isIndex(tok):
			b.WriteString("[" + tok + "]")
		case isName(tok):
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(tok)
		default:
			b.WriteString("[" + strconv.Quote(cut(tok)) + "]")
		}
	}
	return b.String()
}

func cut(s string) string {
	if len(s) <= maxPathName {
		return s
	}
	n := maxPathName
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

func isIndex(s string) bool {
	if s == "" || len(s) > 9 {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

func isName(s string) bool {
	if s == "" || len(s) > maxPathName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// syntaxFault explains an error of the JSON decoder. The pointer of a batch
// begins with the index of the object.
func syntaxFault(body []byte, batch bool, err error) *Fault {
	f := &Fault{Index: -1}
	if errors.Is(err, io.EOF) {
		f.Reason = emptyReason
		return f
	}
	var se *jsontext.SyntacticError
	if !errors.As(err, &se) {
		f.Reason = fmt.Sprintf("cannot be read as JSON: %v", err)
		return f
	}
	f.Index, f.Field = place(se.JSONPointer, batch)
	at := int(se.ByteOffset)
	switch {
	case errors.Is(se.Err, jsontext.ErrDuplicateName):
		f.Reason = "is given more than once; send each name once"
	case errors.Is(se.Err, io.ErrUnexpectedEOF):
		f.Reason = fmt.Sprintf("the JSON ends too early, at byte %d; send it whole", len(body))
	case at < len(body) && body[at] == ',' && commaAtEnd(body[at+1:]):
		f.Reason = fmt.Sprintf("has a comma with nothing after it, at byte %d; remove it", at)
	case at < len(body) && badRune(body[at:]):
		f.Reason = fmt.Sprintf("invalid UTF-8 at byte %d; send the body encoded as UTF-8", at)
	default:
		f.Reason = fmt.Sprintf("not valid JSON at byte %d%s", at, jsonfault.Words(se))
	}
	return f
}

func commaAtEnd(rest []byte) bool {
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return len(rest) > 0 && (rest[0] == '}' || rest[0] == ']')
}

func badRune(b []byte) bool {
	r, n := utf8.DecodeRune(b)
	return r == utf8.RuneError && n <= 1
}

// place splits a pointer into the object's index and the path inside it.
func place(p jsontext.Pointer, batch bool) (int, string) {
	if !batch || p == "" {
		return -1, fieldPath(p)
	}
	first, rest := string(p[1:]), ""
	if i := strings.IndexByte(first, '/'); i >= 0 {
		first, rest = first[:i], first[i:]
	}
	index, err := strconv.Atoi(first)
	if err != nil {
		return -1, fieldPath(p)
	}
	return index, fieldPath(jsontext.Pointer(rest))
}

// KindName is what an error calls a JSON value.
func KindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	default:
		return "an array"
	}
}
