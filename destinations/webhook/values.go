package webhook

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// jsonValues are the first texts and numbers of JSON, names among them, up to what is none.
// The last one may be cut.
func jsonValues(body []byte, most int) (values []string) {
	for len(body) > 0 && len(values) < most {
		n := 1
		switch c := body[0]; {
		case c == '"':
			n = textLength(body)
			values = append(values, text(body[:n]))
		case c == '-' || c >= '0' && c <= '9':
			for n < len(body) && strings.IndexByte("0123456789+-.eE", body[n]) >= 0 {
				n++
			}
			values = append(values, string(body[:n]))
		case strings.IndexByte(" \t\r\n{}[]:,truefalsn", c) >= 0: // true, false and null too
		default:
			return values
		}
		body = body[n:]
	}
	return values
}

// textLength is the length of the JSON text at the beginning of b, with its quotes.
func textLength(b []byte) int {
	for n := 1; n < len(b); n++ {
		i := bytes.IndexAny(b[n:], `"\`)
		if i < 0 {
			break
		}
		if n += i; b[n] == '"' {
			return n + 1
		}
		n++ // what is escaped
	}
	return len(b)
}

// text is what a JSON text says, as far as it is there; of a wrong one, what is written.
func text(quoted []byte) (s string) {
	inner, whole := bytes.CutSuffix(quoted[1:], []byte{'"'})
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	const escape = len(`\uFFFF`)
	if end := max(0, len(inner)-escape); !whole {
		if i := bytes.IndexByte(inner[end:], '\\'); i >= 0 {
			inner = inner[:end+i]
		}
	}
	if json.Unmarshal(slices.Concat([]byte{'"'}, inner, []byte{'"'}), &s) != nil {
		return string(inner)
	}
	return s
}
