package send

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"eventserver/app/ingest/envelope"
	"eventserver/app/jsonfault"
	"eventserver/app/terminal"
)

// event is one event of the input.
type event struct {
	raw  []byte // as it is sent
	line int    // where it begins, from 1
	item int    // its place in an array, from 0; -1: it stands by itself
}

// where names the event in an error.
func (e *event) where() string {
	if e.item < 0 {
		return fmt.Sprintf("line %d", e.line)
	}
	return fmt.Sprintf("line %d, [%d]", e.line, e.item)
}

// reader takes events out of a stream, and holds one of them at a time.
type reader struct {
	src  *lineReader
	dec  *jsontext.Decoder
	fill fill

	begun bool
	array bool // the input is one array
	over  bool // and it has ended
	item  int  // the next one's place in it
	line  int  // where the value begins that is being read
}

// maxEvent bounds what one event may take in memory: a file without end
// would take all of it.
const maxEvent = 16 << 20

func newReader(in io.Reader, f fill) *reader {
	r := &reader{src: &lineReader{buf: bufio.NewReaderSize(in, 64<<10), line: 1}, fill: f, line: 1}
	r.dec = jsontext.NewDecoder(r.src, jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false))
	return r
}

// next returns the next event, or io.EOF. An id for a single event goes to one
// that has none behind it.
func (r *reader) next() (event, error) {
	e, err := r.read()
	if err != nil || r.fill.ID == "" {
		return e, err
	}
	switch second, err := r.read(); {
	case err == nil:
		return e, fmt.Errorf("%s: --id is for a single event, and this is the second; write the ids into the events", second.where())
	case !errors.Is(err, io.EOF):
		return e, err
	}
	r.fill.ID = "" // read returns io.EOF from now on
	return e, nil
}

func (r *reader) read() (event, error) {
	kind, err := r.begin()
	if err != nil {
		return event{}, err
	}
	e := event{line: r.line, item: -1}
	if r.array {
		e.item = r.item
		r.item++
	}
	if kind != '{' {
		return e, fmt.Errorf("%s: an event is a JSON object, not %s", e.where(), envelope.KindName(kind))
	}
	raw, err := r.dec.ReadValue()
	if err != nil {
		return e, r.fault(e.where(), err)
	}
	if e.raw, err = r.fill.apply(raw); err != nil {
		return e, fmt.Errorf("%s: %w", e.where(), err)
	}
	return e, nil
}

// begin finds where the next event begins and tells its kind.
func (r *reader) begin() (jsontext.Kind, error) {
	if !r.begun {
		if err := r.src.skipMark(); err != nil {
			return 0, err
		}
	}
	for {
		kind := r.peek()
		switch {
		case kind <= 0, kind == '}', kind == ']' && (!r.array || r.over):
			_, err := r.dec.ReadToken()
			if errors.Is(err, io.EOF) && (!r.array || r.over) {
				return 0, io.EOF
			}
			return 0, r.fault(fmt.Sprintf("line %d", r.line), err)
		case r.over:
			return 0, fmt.Errorf("line %d: something follows the array; send one array, or objects without one around them", r.line)
		case kind == '[' && !r.begun:
			r.array = true
		case kind == ']' && r.array:
			r.over = true
		default:
			r.begun = true
			return kind, nil
		}
		r.begun = true
		if _, err := r.dec.ReadToken(); err != nil {
			return 0, r.fault(fmt.Sprintf("line %d", r.line), err)
		}
	}
}

// peek tells the kind of the next token and sets line to where it begins.
func (r *reader) peek() jsontext.Kind {
	r.src.end = r.src.read + maxEvent
	kind := r.dec.PeekKind()
	unread := r.dec.UnreadBuffer()
	between := " \t\r\n"
	if r.array {
		between += ","
	}
	space := len(unread) - len(bytes.TrimLeft(unread, between))
	r.line = r.src.lineAt(r.dec.InputOffset() + int64(space))
	return kind
}

// fault explains an error of the decoder or of the input.
func (r *reader) fault(where string, err error) error {
	var se *jsontext.SyntacticError
	switch {
	case errors.Is(err, errTooLong):
		return fmt.Errorf("%s: the event is larger than %d MiB; send less, or a link to it", where, maxEvent>>20)
	case r.src.err != nil && !errors.Is(r.src.err, io.EOF):
		return fmt.Errorf("%s: cannot read on: %w", where, r.src.err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: the JSON ends too early; send it whole", where)
	case !errors.As(err, &se):
		return fmt.Errorf("%s: not valid JSON: %w", where, err)
	}
	at := ""
	if line := r.src.lineAt(se.ByteOffset); line != r.line {
		at = fmt.Sprintf(" in line %d", line)
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return fmt.Errorf("%s: %s is given more than once%s; send each name once", where, excerpt(string(se.JSONPointer)), at)
	}
	return fmt.Errorf("%s: not valid JSON%s%s", where, at, excerpt(jsonfault.Words(se)))
}

// excerpt is what an error repeats of the input.
func excerpt(s string) string {
	const most = 200
	return terminal.Printable(terminal.Cut(most, s, len(s)))
}

var errTooLong = errors.New("too long")

// lineReader knows which line each byte is in that was read. Offsets are asked
// for in rising order.
type lineReader struct {
	buf  *bufio.Reader
	read int64   // bytes handed out
	end  int64   // and the most of them, for now
	line int     // of the last offset asked for
	ends []int64 // offsets of the ends of lines behind it
	err  error   // why reading failed
}

// skipMark drops a byte order mark, which is part of no event.
func (l *lineReader) skipMark() error {
	first, err := l.buf.Peek(1)
	if err != nil || first[0] != 0xef {
		return nil // the decoder meets it
	}
	if mark, err := l.buf.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		_, err = l.buf.Discard(len(mark))
		return err
	}
	return nil
}

// Read implements io.Reader.
func (l *lineReader) Read(p []byte) (int, error) {
	if l.read >= l.end {
		return 0, errTooLong
	}
	n, err := l.buf.Read(p)
	for i, c := range p[:n] {
		if c == '\n' {
			l.ends = append(l.ends, l.read+int64(i))
		}
	}
	l.read += int64(n)
	l.err = err
	return n, err
}

// lineAt is the line of an offset.
func (l *lineReader) lineAt(offset int64) int {
	for len(l.ends) > 0 && l.ends[0] < offset {
		l.line++
		l.ends = l.ends[1:]
	}
	return l.line
}

// fill is what events get that lack it. Empty fields do nothing.
type fill struct{ Type, Key, ID string }

// apply returns a copy of an object with the members that it lacks in front.
// Its own bytes follow as they are.
func (f fill) apply(raw []byte) ([]byte, error) {
	if f == (fill{}) {
		return bytes.Clone(raw), nil
	}
	has, err := f.look(raw)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 1, len(raw)+len(f.ID)+len(f.Type)+len(f.Key)+64)
	out[0] = '{'
	for _, m := range []struct {
		name, value string
		has         bool
	}{{"id", f.ID, has.id}, {"type", f.Type, has.typ}, {"key", f.Key, has.key}} {
		if m.value == "" || m.has {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), m.name...), '"', ':')
		if out, err = jsontext.AppendQuote(out, m.value); err != nil {
			return nil, err
		}
	}
	rest := raw[1:]
	if len(out) > 1 && bytes.TrimLeft(rest, " \t\r\n")[0] != '}' {
		out = append(out, ',')
	}
	return append(out, rest...), nil
}

// hasMembers says which members an event has. A userId is its key.
type hasMembers struct{ id, typ, key bool }

// look reads an object's members, and refuses those that say otherwise.
func (f fill) look(raw []byte) (has hasMembers, err error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(false))
	if _, err := dec.ReadToken(); err != nil {
		return has, err
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return has, err
		}
		member := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return has, err
		}
		switch member {
		case "id":
			has.id = true
			err = same("id", value, f.ID)
		case "type":
			has.typ = true
			err = same("type", value, f.Type)
		case "key", "userId":
			has.key = true
		}
		if err != nil {
			return has, err
		}
	}
	_, err = dec.ReadToken()
	return has, err
}

// same refuses a member that is not what the command line says, if it does.
func same(name string, value jsontext.Value, want string) error {
	if want == "" {
		return nil
	}
	if value.Kind() == '"' {
		if plain, err := jsontext.AppendUnquote(nil, value); err == nil && string(plain) == want {
			return nil
		}
	}
	return fmt.Errorf("its %s is %s, and --%s says %q; leave --%s out, or send the others apart", name, excerpt(string(value)), name, want, name)
}
