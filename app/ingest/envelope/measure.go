package envelope

import (
	"bytes"
	"fmt"
)

// Measure is what can be known of a body by counting, before it is decoded: the
// decoder itself would go 10,000 levels down, and needs far more memory for a
// megabyte of short names than for one of text. On invalid JSON it may be wrong
// either way, and the decoder then says what is invalid.
type Measure struct {
	Depth  int
	Batch  bool // it begins with an array
	Events int

	// Of the event that has most of each:
	EventBytes int
	Members    int
	NameBytes  int
	Values     int

	largest int // index of the event that has most bytes
}

// Count measures a body.
func Count(body []byte) Measure {
	m := Measure{Batch: bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("["))}
	top := 1 // depth of an event
	if m.Batch {
		top = 2
	}
	depth, start := 0, 0
	var e Measure // of one event
	text := 0     // bytes of the last string
	end := func(at int) {
		if size := at - start; size > m.EventBytes {
			m.EventBytes, m.largest = size, m.Events-1
		}
		m.Members, m.NameBytes, m.Values = max(m.Members, e.Members), max(m.NameBytes, e.NameBytes), max(m.Values, e.Values)
		e = Measure{}
	}
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			from := i
			for i++; i < len(body) && body[i] != '"'; i++ {
				if body[i] == '\\' {
					i++
				}
			}
			text = i - from - 1
		case ':':
			e.Members++
			e.NameBytes += text
		case ',':
			e.Values++
		case '{', '[':
			if depth++; depth == top {
				m.Events++
				start = i
			}
			m.Depth = max(m.Depth, depth)
			e.Values++
		case '}', ']':
			if depth == top {
				end(i + 1)
			}
			depth--
		}
	}
	if depth >= top { // the body is cut short
		end(len(body))
	}
	return m
}

// tooLarge refuses an event that is larger than the limit, before it is decoded.
func (m Measure) tooLarge(limit int) *Fault {
	if m.EventBytes <= limit {
		return nil
	}
	f := &Fault{Index: -1, TooLarge: true, Reason: fmt.Sprintf("is %d bytes, more than the limit of %d; send less, or a link to it", m.EventBytes, limit)}
	if m.Batch {
		f.Index = m.largest
	}
	return f
}
