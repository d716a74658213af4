package redact

import (
	"encoding/binary"
	"encoding/json"
	"unicode/utf8"
)

// sought finds those values of an event that a text about it may repeat. A body has a
// hundred thousand values and a text a kilobyte, so it asks of each value whether the
// text has four bytes of it that every form of the value has, and makes no string of
// the others. It takes a value too many, never one too few.
type sought struct {
	text    string
	escapes bool                // the text has a backslash
	runs    [3][1 << 10]uint64  // which runs of 2, 3 and 4 bytes the text has, hashed
	values  map[string]struct{} // found so far
}

func newSought(text string) *sought {
	s := &sought{text: text, values: map[string]struct{}{}}
	for i := range len(text) {
		s.escapes = s.escapes || text[i] == '\\'
		for n := 2; n <= 4 && i+n <= len(text); n++ {
			h := hashRun([]byte(text[i : i+n]))
			s.runs[n-2][h>>6] |= 1 << (h & 63)
		}
	}
	return s
}

// hashRun is of 2 to 4 bytes.
func hashRun(run []byte) uint16 {
	h := uint32(run[0]) | uint32(run[1])<<8
	if len(run) > 2 {
		h |= uint32(run[2]) << 16
	}
	if len(run) > 3 {
		h |= uint32(run[3]) << 24
	}
	return uint16(h * 0x9e3779b1 >> 16)
}

func (s *sought) has(run []byte) bool {
	h := hashRun(run)
	return s.runs[len(run)-2][h>>6]&(1<<(h&63)) != 0
}

// Kinds of bytes.
const (
	kindKept   = 1 // as it is in what has no escapes
	kindStable = 2 // as it is in every form
)

var kinds = func() (k [256]byte) {
	for c := '!'; c < 0x100; c++ {
		if c != 0x7f {
			k[c] = kindKept
		}
	}
	for c := '!'; c <= '~'; c++ {
		k[c] = kindStable
	}
	for _, c := range `"\<>&'/` {
		k[c] = kindKept
	}
	return k
}()

// add notes a value that the text may have. quoted: as JSON writes it, with escapes.
func (s *sought) add(v []byte, quoted bool) {
	if len(v) < maskLow && !quoted || !s.maybe(v, quoted) {
		return
	}
	if !quoted {
		s.values[string(v)] = struct{}{}
		return
	}
	var value string
	text := make([]byte, 0, len(v)+2)
	text = append(append(append(text, '"'), v...), '"')
	if json.Unmarshal(text, &value) == nil && len(value) >= maskLow {
		s.values[value] = struct{}{}
	}
}

// maybe reports whether the text may have a form of v, or its beginning.
func (s *sought) maybe(v []byte, quoted bool) bool {
	if quoted {
		if len(v) < maskLow {
			return true // what is no UTF-8 gets longer
		}
		for _, c := range v[:maskLow] {
			if c == '\\' || c >= utf8.RuneSelf {
				return true // what it begins with has to be decoded
			}
		}
	}
	if s.has(v[:4]) {
		return true
	}
	stable, kept := 0, 0
	var best []byte // of 2 or 3 stable bytes
	for i := 0; i < min(len(v), MaxDetail); i++ {
		c := v[i]
		switch kind := kinds[c]; {
		case quoted && c == '\\':
			stable, kept = 0, 0
			if i++; i < len(v) && v[i] == 'u' {
				i += 4
			}
			continue
		case kind == kindStable:
			stable, kept = stable+1, kept+1
		case kind == kindKept:
			stable, kept = 0, kept+1
		default:
			stable, kept = 0, 0
		}
		switch {
		case stable == 4:
			return s.has(v[i-3 : i+1])
		case kept == 4 && !s.escapes:
			return s.has(v[i-3:i+1]) || !utf8.Valid(v) // what is no UTF-8 is replaced in some forms
		case stable > max(len(best), 1):
			best = v[i-stable+1 : i+1]
		}
	}
	return best == nil || s.has(best)
}

// inJSON seeks the values of a JSON text, not its members' names; false: it is none.
func (s *sought) inJSON(body []byte) bool {
	p := parser{b: body}
	var open []byte // what is open, { or [
	for {
		p.space()
		// A value.
		switch c := p.peek(); {
		case c == '{' || c == '[':
			if open = append(open, c); len(open) > maxNesting {
				return false
			}
			p.i++
			p.space()
			if p.peek() != c+2 { // its other bracket
				if c == '{' && !p.name() {
					return false
				}
				continue
			}
		case c == '"':
			v, quoted, ok := p.text()
			if !ok {
				return false
			}
			s.add(v, quoted)
		case c == '-' || c >= '0' && c <= '9':
			v, ok := p.number()
			if !ok {
				return false
			}
			s.add(v, false)
		case !p.word():
			return false
		}
		// What follows it.
		for next := false; !next; {
			p.space()
			if len(open) == 0 {
				return p.i == len(p.b)
			}
			switch top := open[len(open)-1]; p.peek() {
			case top + 2:
				open = open[:len(open)-1]
				p.i++
			case ',':
				p.i++
				p.space()
				if top == '{' && !p.name() {
					return false
				}
				next = true
			default:
				return false
			}
		}
	}
}

// maxNesting is that of encoding/json.
const maxNesting = 10_000

// parser reads JSON.
type parser struct {
	b []byte
	i int
}

func (p *parser) peek() byte {
	if p.i < len(p.b) {
		return p.b[p.i]
	}
	return 0
}

func (p *parser) space() {
	for p.i < len(p.b) && (p.b[p.i] == ' ' || p.b[p.i] == '\t' || p.b[p.i] == '\n' || p.b[p.i] == '\r') {
		p.i++
	}
}

// name reads a member's name and the colon.
func (p *parser) name() bool {
	if p.peek() != '"' {
		return false
	}
	if _, _, ok := p.text(); !ok {
		return false
	}
	p.space()
	if p.peek() != ':' {
		return false
	}
	p.i++
	return true
}

// word reads true, false or null.
func (p *parser) word() bool {
	for _, w := range [...]string{"true", "false", "null"} {
		if len(p.b)-p.i >= len(w) && string(p.b[p.i:p.i+len(w)]) == w {
			p.i += len(w)
			return true
		}
	}
	return false
}

func (p *parser) digits() bool {
	from := p.i
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.i++
	}
	return p.i > from
}

func (p *parser) number() (v []byte, ok bool) {
	from := p.i
	if p.peek() == '-' {
		p.i++
	}
	if p.peek() == '0' {
		p.i++
	} else if !p.digits() {
		return nil, false
	}
	if p.peek() == '.' {
		p.i++
		if !p.digits() {
			return nil, false
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.i++
		if c := p.peek(); c == '+' || c == '-' {
			p.i++
		}
		if !p.digits() {
			return nil, false
		}
	}
	return p.b[from:p.i], true
}

// text reads a string, as it is written between its quotes. quoted: it has to be decoded.
func (p *parser) text() (v []byte, quoted, ok bool) {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	p.i++
	from := p.i
	wide := false // it has bytes that are no ASCII
	for {
		for p.i+8 <= len(p.b) { // eight at once that are neither a quote, a backslash nor a control character
			x := binary.LittleEndian.Uint64(p.b[p.i:])
			quote, slash := x^(ones*'"'), x^(ones*'\\')
			if ((quote-ones)&^quote|(slash-ones)&^slash|(x-ones*' ')&^x)&highs != 0 {
				break
			}
			wide = wide || x&highs != 0
			p.i += 8
		}
		switch c := p.peek(); {
		case p.i == len(p.b) || c < ' ':
			return nil, false, false
		case c == '"':
			v = p.b[from:p.i]
			p.i++
			return v, quoted || wide && !utf8.Valid(v), true
		case c == '\\':
			quoted = true
			p.i++
			if !p.escape() {
				return nil, false, false
			}
		default:
			wide = wide || c >= utf8.RuneSelf
			p.i++
		}
	}
}

// escape reads what follows a backslash.
func (p *parser) escape() bool {
	switch p.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		p.i++
		return true
	case 'u':
		p.i++
		for range 4 {
			switch c := p.peek(); {
			case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
				p.i++
			default:
				return false
			}
		}
		return true
	}
	return false
}
