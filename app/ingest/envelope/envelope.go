package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"eventserver/router/plural"
)

// Envelope is what the server reads of one posted event.
type Envelope struct {
	ID     string    // "": the client gave none
	Type   string    // "": none
	Source string    // "": none
	Key    string    // key or userId; "": neither was given
	Time   time.Time // in UTC; zero: none was given
	Raw    []byte    // the object's own bytes: a subslice of the body, exact
}

// Limits bounds what one body may hold. A zero field takes its default.
type Limits struct {
	MaxDepth      int // nested objects and arrays of one event, itself counted; 64
	MaxEvents     int // events of one array; 500
	MaxEventBytes int // bytes of one event; 1 MiB
}

const (
	defaultMaxDepth      = 64
	defaultMaxEvents     = 500
	defaultMaxEventBytes = 1 << 20
)

func (l Limits) withDefaults() Limits {
	if l.MaxDepth <= 0 {
		l.MaxDepth = defaultMaxDepth
	}
	if l.MaxEvents <= 0 {
		l.MaxEvents = defaultMaxEvents
	}
	if l.MaxEventBytes <= 0 {
		l.MaxEventBytes = defaultMaxEventBytes
	}
	return l
}

const (
	emptyReason = "is empty; send one JSON object or an array of objects"
	topReason   = "must be one JSON object or an array of objects, not %s"
)

// parser reads one body. Parsers are pooled: a decoder's name tables are most of
// what a small event would otherwise allocate.
type parser struct {
	dec   *jsontext.Decoder
	buf   bytes.Buffer
	body  []byte
	count Measure
	lim   Limits
	batch bool
	index int // of the object being read; -1 for a single one
}

// parsers holds no state between bodies: release empties a parser.
var parsers = sync.Pool{New: func() any {
	p := new(parser)
	p.dec = jsontext.NewDecoder(&p.buf)
	return p
}}

func acquire(body []byte, count Measure, lim Limits) *parser {
	p := parsers.Get().(*parser)
	p.count = count
	p.body, p.lim, p.batch, p.index = body, lim.withDefaults(), false, -1
	// The decoder parses a *bytes.Buffer in place and does not change its bytes.
	p.buf = *bytes.NewBuffer(body)
	p.dec.Reset(&p.buf, jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false))
	return p
}

func (p *parser) release() {
	p.body = nil
	p.buf = bytes.Buffer{}
	p.dec.Reset(&p.buf) // drop the body, which the decoder still points to
	parsers.Put(p)
}

// Parse reads one JSON object, or an array of objects (the bool is then true).
// The error is a *Fault, the first one found; no envelope is returned with it.
//
// Looked at: id, type, source, time, userId and key, by exact case. All else may
// be any JSON and stays in Raw, but the whole body has to be valid UTF-8 and
// free of repeated names at every level. Empty type and source count as absent;
// an empty or null id, key or userId is a fault.
func Parse(body []byte, lim Limits) ([]Envelope, bool, error) {
	return ParseCounted(body, Count(body), lim)
}

// ParseCounted is Parse for a body that was measured by Count.
func ParseCounted(body []byte, count Measure, lim Limits) ([]Envelope, bool, error) {
	p := acquire(body, count, lim)
	defer p.release()
	envs, f := p.parse()
	if f != nil {
		return nil, p.batch, f
	}
	return envs, p.batch, nil
}

func (p *parser) parse() ([]Envelope, *Fault) {
	kind, f := p.open()
	if f != nil {
		return nil, f
	}
	var envs []Envelope
	switch kind {
	case '{':
		var e Envelope
		if f := p.object(&e); f != nil {
			return nil, f
		}
		envs = []Envelope{e}
	case '[':
		p.batch = true
		if envs, f = p.array(); f != nil {
			return nil, f
		}
	default:
		return nil, p.fault("", fmt.Sprintf(topReason, KindName(kind)))
	}
	return envs, p.end()
}

// open checks the depth and tells what the body begins with.
func (p *parser) open() (jsontext.Kind, *Fault) {
	if bytes.HasPrefix(p.body, []byte("\xef\xbb\xbf")) {
		return 0, p.fault("", "begins with a byte order mark; send UTF-8 without one")
	}
	kind := p.dec.PeekKind()
	if kind <= 0 || kind == '}' || kind == ']' {
		_, err := p.dec.ReadToken()
		return 0, p.syntax(err)
	}
	limit := p.lim.MaxDepth
	if kind == '[' {
		limit++ // the batch's own brackets
	}
	if f := p.count.tooLarge(p.lim.MaxEventBytes); f != nil {
		return 0, f
	}
	if p.count.Depth > limit {
		return 0, depthFault(p.body, kind == '[', limit)
	}
	return kind, nil
}

func (p *parser) end() *Fault {
	p.index = -1
	rest := p.body[p.dec.InputOffset():]
	if _, err := p.dec.ReadToken(); errors.Is(err, io.EOF) {
		return nil
	}
	at := len(p.body) - len(bytes.TrimLeft(rest, " \t\r\n"))
	return p.fault("", fmt.Sprintf("has more data after the JSON value, at byte %d; send one object or one array of objects", at))
}

func (p *parser) array() ([]Envelope, *Fault) {
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, p.syntax(err)
	}
	var envs []Envelope
	ids := map[string]int{}
	for p.dec.PeekKind() != ']' {
		p.index++
		if p.index >= p.lim.MaxEvents {
			f := &Fault{Index: -1, TooLarge: true}
			f.Reason = fmt.Sprintf("holds more than %s; send at most %d in one request", plural.Count(p.lim.MaxEvents, "event"), p.lim.MaxEvents)
			return nil, f
		}
		kind := p.dec.PeekKind()
		if kind > 0 && kind != '{' && kind != '}' {
			return nil, p.fault("", "must be a JSON object, not "+KindName(kind))
		}
		var e Envelope
		if f := p.object(&e); f != nil {
			return nil, f
		}
		if first, ok := ids[e.ID]; ok && e.ID != "" {
			return nil, p.fault("id", fmt.Sprintf("is also the id of [%d]; give each event its own id", first))
		}
		ids[e.ID] = p.index
		envs = append(envs, e)
	}
	p.index = -1
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, p.syntax(err)
	}
	if len(envs) == 0 {
		return nil, p.fault("", "is an empty array; send at least one event")
	}
	return envs, nil
}

// object reads one event.
func (p *parser) object(e *Envelope) *Fault {
	if _, err := p.dec.ReadToken(); err != nil {
		return p.syntax(err)
	}
	start := p.dec.InputOffset() - 1
	var key, user string
	var seen segment
	for p.dec.PeekKind() == '"' {
		name, err := p.dec.ReadValue()
		if err != nil {
			return p.syntax(err)
		}
		var f *Fault
		switch field := fieldOf(name); field {
		case fieldID:
			e.ID, f = p.text("id", maxID, printable, notEmpty)
		case fieldType:
			e.Type, f = p.text("type", maxText, noControl, mayBeEmpty)
		case fieldSource:
			e.Source, f = p.text("source", maxText, noControl, mayBeEmpty)
		case fieldTime:
			e.Time, f = p.time()
		case fieldKey:
			key, f = p.text("key", maxKey, noControl, notEmpty)
		case fieldUser:
			user, f = p.text("userId", maxText, noControl, notEmpty)
		default:
			seen.member(field, p.dec.PeekKind())
			if _, err := p.dec.ReadValue(); err != nil {
				return p.syntax(err)
			}
		}
		if f != nil {
			return f
		}
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return p.syntax(err)
	}
	e.Raw = p.body[start:p.dec.InputOffset():p.dec.InputOffset()]
	if key != "" && user != "" && key != user {
		return p.fault("key", "differs from userId; send one of them, or the same value in both")
	}
	e.Key = key
	if key == "" {
		e.Key = user
	}
	if field, reason := seen.lost(*e); reason != "" {
		return p.fault(field, reason)
	}
	return nil
}

func (p *parser) fault(field, reason string) *Fault {
	return &Fault{Index: p.index, Field: field, Reason: reason}
}

func (p *parser) syntax(err error) *Fault { return syntaxFault(p.body, p.batch, err) }
