package quick

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"eventserver/app/jsonfault"
	"eventserver/app/schema/tree"
)

// Limits of one event. The depth is the envelope's own. The number of values
// bounds the memory that an event takes once it is decoded.
const (
	maxDepth  = 64
	maxValues = 20_000
)

// decoder turns an event into what is validated. Decoders are pooled: the tables
// of names are most of what a small event would otherwise allocate.
type decoder struct {
	dec   *jsontext.Decoder
	buf   bytes.Buffer
	data  []byte
	names map[string]string
	drop  map[string]bool
	left  int

	// Members and items of the containers that are being read.
	members []entry
	items   []any
}

// maxKept is how many members or items a decoder keeps room for.
const maxKept = 256

// decoders holds no state between events: release empties a decoder.
var decoders = sync.Pool{New: func() any {
	d := new(decoder)
	d.dec = jsontext.NewDecoder(&d.buf)
	return d
}}

// open starts to read data. jsontext refuses repeated names and invalid UTF-8.
func open(data []byte) *decoder {
	d := decoders.Get().(*decoder)
	d.data, d.left = data, maxValues
	// The decoder parses a *bytes.Buffer in place and does not change its bytes.
	d.buf = *bytes.NewBuffer(data)
	d.dec.Reset(&d.buf, jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false))
	return d
}

func (d *decoder) release() {
	d.data, d.names, d.drop = nil, nil, nil
	clear(d.members[:cap(d.members)]) // the event's, where reading stopped at a fault too
	clear(d.items[:cap(d.items)])
	d.members, d.items = d.members[:0], d.items[:0]
	if cap(d.members) > maxKept || cap(d.items) > maxKept {
		d.members, d.items = nil, nil
	}
	d.buf = bytes.Buffer{}
	d.dec.Reset(&d.buf) // drop the event, which the decoder still points to
	decoders.Put(d)
}

// decode reads data, which is one JSON value. names are spellings to share
// instead of allocating them again; members of the top named in drop are read but
// left out.
func decode(data []byte, names map[string]string, drop map[string]bool) (any, *Refusal) {
	d := open(data)
	defer d.release()
	d.names, d.drop = names, drop
	v, err := d.value(0)
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return nil, d.violation(err)
	}
	return v, nil
}

var (
	errDeep     = fmt.Errorf("is nested more than %d levels deep; flatten the event", maxDepth)
	errMany     = fmt.Errorf("the event holds more than %d values; split it", maxValues)
	errDigits   = errors.New("is a number of too many digits; " + tree.NumberCure)
	errTrailing = errors.New("has more data after the JSON value; send one object")
)

func (d *decoder) value(depth int) (any, error) {
	if d.left--; d.left < 0 {
		return nil, errMany
	}
	switch d.dec.PeekKind() {
	case '{':
		return d.object(depth + 1)
	case '[':
		return d.array(depth + 1)
	case '"':
		raw, err := d.dec.ReadValue()
		if err != nil {
			return nil, err
		}
		return unquote(raw), nil
	case '0':
		raw, err := d.dec.ReadValue()
		if err != nil {
			return nil, err
		}
		text := string(raw)
		if !tree.Fitting(text) {
			return nil, errDigits
		}
		return tree.Number(text), nil
	default:
		tok, err := d.dec.ReadToken()
		if err != nil {
			return nil, err
		}
		if tok.Kind() == 'n' {
			return nil, nil
		}
		return tok.Bool(), nil
	}
}

func (d *decoder) object(depth int) (any, error) {
	if _, err := d.dec.ReadToken(); err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, errDeep
	}
	first := len(d.members)
	for d.dec.PeekKind() != '}' {
		raw, err := d.dec.ReadValue()
		if err != nil {
			return nil, err
		}
		name, known := d.names[string(raw[1:len(raw)-1])]
		if !known {
			name = unquote(raw)
		}
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		if depth > 1 || !d.drop[name] {
			d.members = append(d.members, entry{name, v})
		}
	}
	o := &object{members: slices.Clone(d.members[first:])}
	d.members = d.members[:first]
	_, err := d.dec.ReadToken()
	return o, err
}

func (d *decoder) array(depth int) (any, error) {
	if _, err := d.dec.ReadToken(); err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, errDeep
	}
	first := len(d.items)
	for d.dec.PeekKind() != ']' {
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		d.items = append(d.items, v)
	}
	a := &array{items: slices.Clone(d.items[first:])}
	d.items = d.items[:first]
	_, err := d.dec.ReadToken()
	return a, err
}

func (d *decoder) end() error {
	if _, err := d.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errTrailing
	}
	return nil
}

// unquote decodes a string that the decoder has accepted.
func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	plain, _ := jsontext.AppendUnquote(nil, raw) // cannot fail: the decoder checked it
	return string(plain)
}

// violation says what is wrong with the JSON.
func (d *decoder) violation(err error) *Refusal {
	v := &Refusal{Rule: RuleJSON, Pointer: string(d.dec.StackPointer())}
	var se *jsontext.SyntacticError
	switch {
	case errors.Is(err, errMany), errors.Is(err, errTrailing):
		v.Pointer, v.Detail = "", err.Error()
	case errors.Is(err, io.EOF):
		v.Detail = "is empty; send one JSON object"
	case !errors.As(err, &se):
		v.Detail = err.Error()
	default:
		v.Pointer, v.Detail = string(se.JSONPointer), syntaxDetail(d.data, se)
	}
	v.Pointer, v.Detail = tree.Bounded(v.Pointer), tree.Cut(v.Detail, tree.MaxDetail)
	return v
}

func syntaxDetail(data []byte, se *jsontext.SyntacticError) string {
	at := int(se.ByteOffset)
	switch {
	case errors.Is(se.Err, jsontext.ErrDuplicateName):
		return "is given more than once; send each name once"
	case errors.Is(se.Err, io.ErrUnexpectedEOF):
		return fmt.Sprintf("the JSON ends too early, at byte %d; send it whole", len(data))
	case at < len(data) && badRune(data[at:]):
		return fmt.Sprintf("invalid UTF-8 at byte %d; send the event encoded as UTF-8", at)
	}
	return fmt.Sprintf("not valid JSON at byte %d%s", at, jsonfault.Words(se))
}

func badRune(b []byte) bool {
	r, n := utf8.DecodeRune(b)
	return r == utf8.RuneError && n <= 1
}
