package log

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"eventserver/destinations"
)

const stamp = "2006-01-02T15:04:05.000Z07:00"

// text is a line such as
//
//	2026-01-02T03:04:05.000Z event=e1 type=order.placed key=user-1 delivery=e1:log attempt=1 {"n":1}
func (d *Destination) text(del destinations.Delivery) []byte {
	var b strings.Builder
	b.WriteString(d.now().UTC().Format(stamp))
	for _, f := range [][2]string{
		{"event", del.EventID}, {"type", del.EventType}, {"key", del.Key}, {"delivery", del.ID}, {"attempt", strconv.Itoa(del.Attempt)},
	} {
		b.WriteString(" " + f[0] + "=" + Word(f[1]))
	}
	shown, cut := d.body(del.Payload.Body)
	b.WriteString(" " + shown)
	if cut {
		fmt.Fprintf(&b, "... (%d bytes)", len(del.Payload.Body))
	}
	b.WriteByte('\n')
	return []byte(b.String())
}

// Word quotes what could be taken for something else in a line of key=value.
func Word(s string) string {
	plain := s != ""
	for _, r := range s {
		plain = plain && r != ' ' && r != '"' && r != '=' && r != '\\' && r != utf8.RuneError && unicode.IsPrint(r)
	}
	if plain {
		return s
	}
	return strconv.Quote(s)
}

type line struct {
	At        string          `json:"at"`
	Event     string          `json:"event_id"`
	Type      string          `json:"type"`
	Key       string          `json:"key"`
	Delivery  string          `json:"id"`
	Attempt   int             `json:"attempt"`
	Time      string          `json:"time,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
	DataBegin string          `json:"data_begin,omitempty"` // of a body that was cut
	DataBytes int             `json:"data_bytes,omitempty"` // its length before
}

func (d *Destination) json(del destinations.Delivery) []byte {
	l := line{
		At: d.now().UTC().Format(stamp), Event: del.EventID, Type: del.EventType, Key: del.Key, Delivery: del.ID, Attempt: del.Attempt,
	}
	if !del.Time.IsZero() {
		l.Time = del.Time.UTC().Format(time.RFC3339Nano)
	}
	shown, cut := d.body(del.Payload.Body)
	if cut {
		l.DataBegin, l.DataBytes = shown, len(del.Payload.Body)
	} else {
		l.Data = json.RawMessage(shown)
	}
	out, err := marshal(l)
	if err != nil { // body gives valid JSON where it is not cut: cannot happen, but an event is not worth a panic
		l.Data, l.DataBegin = nil, shown
		out, _ = marshal(l)
	}
	return append([]byte(escape(string(out))), '\n')
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // the line should look like what was sent
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// body is a body as compact JSON, or as a JSON string of it where it is none,
// and whether only its beginning is shown.
func (d *Destination) body(body []byte) (shown string, cut bool) {
	var b bytes.Buffer
	if len(body) == 0 {
		body = []byte("null")
	}
	if json.Valid(body) && json.Compact(&b, body) == nil {
		shown = escape(b.String())
	} else {
		quoted, _ := marshal(string(body)) // a string can always be marshalled
		shown = escape(string(quoted))
	}
	if len(shown) <= d.cfg.MaxBytes {
		return shown, false
	}
	n := d.cfg.MaxBytes
	for n > 0 && !utf8.RuneStart(shown[n]) {
		n--
	}
	return shown[:n], true
}

// escape writes what is not printable as \u escapes. In compact JSON such
// characters stand only inside strings, so it stays the same JSON.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
