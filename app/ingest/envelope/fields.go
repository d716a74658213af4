package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Bytes of a field's decoded value. They keep headers, Kafka keys and metadata
// far below every broker's limits.
const (
	maxID   = 256
	maxText = 256 // type, source, userId
	maxKey  = 512
)

type field int

const (
	fieldOther field = iota
	fieldID
	fieldType
	fieldSource
	fieldTime
	fieldKey
	fieldUser
	fieldPayload
	fieldBatch
	fieldMessageID
	fieldAnonymousID
)

// fieldOf recognizes a quoted name. A name may be written with escapes
// ("\u0069d" is "id"), so those are decoded before they are compared.
func fieldOf(quoted []byte) field {
	name := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		plain, err := jsontext.AppendUnquote(nil, quoted)
		if err != nil {
			return fieldOther
		}
		name = plain
	}
	switch string(name) {
	case "id":
		return fieldID
	case "type":
		return fieldType
	case "source":
		return fieldSource
	case "time":
		return fieldTime
	case "key":
		return fieldKey
	case "userId":
		return fieldUser
	case "payload":
		return fieldPayload
	case "batch":
		return fieldBatch
	case "messageId":
		return fieldMessageID
	case "anonymousId":
		return fieldAnonymousID
	}
	return fieldOther
}

const (
	notEmpty   = false
	mayBeEmpty = true
)

type charset int

const (
	noControl charset = iota // any character that is not a control character
	printable                // an id is shown in headers, logs and terminals
)

// rawString reads the field's value, quotes included.
func (p *parser) rawString(name string) ([]byte, *Fault) {
	switch kind := p.dec.PeekKind(); {
	case kind == 'n':
		return nil, p.fault(name, "must be a string, not null; leave the field out instead")
	case kind > 0 && kind != '"' && kind != '}' && kind != ']':
		return nil, p.fault(name, "must be a string, not "+KindName(kind)+"; put it in quotes")
	}
	raw, err := p.dec.ReadValue()
	if err != nil {
		return nil, p.syntax(err)
	}
	return raw, nil
}

// unquote decodes a string that the decoder has accepted.
func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	plain, _ := jsontext.AppendUnquote(nil, raw) // cannot fail: the decoder checked it
	return string(plain)
}

// Check holds an event that was not posted to the limits of one that was: its
// data is one JSON object, and id, type, source and key are what those fields may
// be. The error is a *Fault.
func Check(id, typ, source, key string, data []byte, lim Limits) error {
	envs, batch, err := Parse(data, lim)
	if err != nil {
		return err
	}
	p := acquire(nil, Measure{}, lim)
	defer p.release()
	if batch || len(envs) != 1 {
		return p.fault("", "must be one JSON object")
	}
	for _, f := range []struct {
		name, value string
		limit       int
		chars       charset
		empty       bool
	}{{"id", id, maxID, printable, notEmpty}, {"type", typ, maxText, noControl, mayBeEmpty}, {"source", source, maxText, noControl, mayBeEmpty}, {"key", key, maxKey, noControl, notEmpty}} {
		if !utf8.ValidString(f.value) {
			return p.fault(f.name, "is not valid UTF-8")
		}
		if _, fault := p.plain(f.name, f.value, f.limit, f.chars, f.empty); fault != nil {
			return fault
		}
	}
	return nil
}

func (p *parser) text(name string, limit int, chars charset, empty bool) (string, *Fault) {
	raw, f := p.rawString(name)
	if f != nil {
		return "", f
	}
	// An escape takes up to 12 bytes (a surrogate pair) for 4 of text, or 6 for
	// 1: beyond that the value is too long, however it decodes.
	if len(raw) > 6*limit+2 {
		return "", p.fault(name, fmt.Sprintf("must be at most %d bytes; shorten it", limit))
	}
	return p.plain(name, unquote(raw), limit, chars, empty)
}

// plain is text for a value that is decoded.
func (p *parser) plain(name, s string, limit int, chars charset, empty bool) (string, *Fault) {
	switch {
	case s == "" && !empty:
		return "", p.fault(name, "must not be empty; leave the field out or give it a value")
	case len(s) > limit:
		return "", p.fault(name, fmt.Sprintf("must be at most %d bytes, not %d; shorten it", limit, len(s)))
	}
	for i, r := range s {
		if r >= ' ' && r < utf8.RuneSelf-1 {
			continue
		}
		if unicode.IsControl(r) {
			return "", p.fault(name, fmt.Sprintf("holds the control character U+%04X at byte %d; remove it", r, i))
		}
		if chars == printable && !unicode.IsPrint(r) {
			return "", p.fault(name, fmt.Sprintf("holds the unprintable character U+%04X at byte %d; remove it", r, i))
		}
	}
	return s, nil
}

// time reads RFC 3339, in UTC, so that an event reads the same on every machine;
// the client's own text stays in Raw.
func (p *parser) time() (time.Time, *Fault) {
	raw, f := p.rawString("time")
	if f != nil {
		return time.Time{}, f
	}
	if len(raw) > maxText {
		return time.Time{}, p.fault("time", badTime)
	}
	t, err := parseTime(unquote(raw))
	if err != nil {
		return time.Time{}, p.fault("time", badTime)
	}
	t = t.UTC()
	// Its zone can take a time out of the four digits that RFC 3339 has for a
	// year: nobody could read the event's time again.
	if y := t.Year(); y < 1 || y > 9999 {
		return time.Time{}, p.fault("time", "is not in the years 0001 to 9999, in UTC; send one that is")
	}
	return t, nil
}

const badTime = "must be an RFC 3339 time such as 2026-01-31T12:00:00Z"

var errTime = errors.New("not RFC 3339")

// parseTime refuses what time.Parse lets pass (golang/go#54580): one-digit hours,
// a comma before the fraction, zones beyond 23:59.
func parseTime(s string) (time.Time, error) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[13] != ':' || strings.IndexByte(s, ',') >= 0 {
		return time.Time{}, errTime
	}
	if s[len(s)-1] != 'Z' {
		zone := s[len(s)-len("+01:00"):]
		if zone[1:3] > "23" || zone[4:6] > "59" {
			return time.Time{}, errTime
		}
	}
	return time.Parse(time.RFC3339, s)
}
