package schema

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

type valueKind byte

const (
	nullKind valueKind = iota
	boolKind
	numberKind
	stringKind
	arrayKind
	objectKind
)

// value is a JSON value of a schema file, with the order of its members and the
// line of each. It is not changed after it was read, so parts may be shared.
type value struct {
	kind    valueKind
	text    string // of a string, or a number as JSON writes it
	yes     bool
	line    int
	items   []*value
	members []member
}

type member struct {
	name  string
	line  int // of the name
	value *value
}

// get is the member's value, or nil.
func (v *value) get(name string) *value {
	if v == nil {
		return nil
	}
	for i := range v.members {
		if v.members[i].name == name {
			return v.members[i].value
		}
	}
	return nil
}

// str is the text of the string v; "" when v is nil or no string.
func (v *value) str() string {
	if v == nil || v.kind != stringKind {
		return ""
	}
	return v.text
}

func (v *value) is(b bool) bool { return v != nil && v.kind == boolKind && v.yes == b }

// at follows a JSON pointer; nil when nothing is there.
func (v *value) at(ptr string) *value {
	toks, ok := tokens(ptr)
	if !ok {
		return nil
	}
	for _, t := range toks {
		switch v.kind {
		case objectKind:
			v = v.get(t)
		case arrayKind:
			v = v.item(t)
		default:
			return nil
		}
		if v == nil {
			return nil
		}
	}
	return v
}

func (v *value) item(token string) *value {
	if i, ok := index(token); ok && i < len(v.items) {
		return v.items[i]
	}
	return nil
}

// index reads an array's index as RFC 6901 writes it.
func index(token string) (int, bool) {
	i, err := strconv.ParseUint(token, 10, 31)
	if err != nil || len(token) > 1 && token[0] == '0' {
		return 0, false
	}
	return int(i), true
}

// lineAt is the line of the name that ptr ends with, or of the last value on the
// way that is there.
func (v *value) lineAt(ptr string) int {
	line := v.line
	toks, _ := tokens(ptr)
	for _, t := range toks {
		var next *value
		switch v.kind {
		case objectKind:
			for i := range v.members {
				if v.members[i].name == t {
					next, line = v.members[i].value, v.members[i].line
				}
			}
		case arrayKind:
			if next = v.item(t); next != nil {
				line = next.line
			}
		}
		if next == nil {
			return line
		}
		v = next
	}
	return line
}

// plain is v as the JSON Schema library takes it.
func (v *value) plain() any {
	switch v.kind {
	case boolKind:
		return v.yes
	case numberKind:
		return number(v.text)
	case stringKind:
		return v.text
	case arrayKind:
		list := make([]any, len(v.items))
		for i, item := range v.items {
			list[i] = item.plain()
		}
		return list
	case objectKind:
		m := make(map[string]any, len(v.members))
		for _, mem := range v.members {
			m[mem.name] = mem.value.plain()
		}
		return m
	}
	return nil
}

// appendJSON writes v without spaces, members in their order.
func (v *value) appendJSON(b []byte) []byte {
	switch v.kind {
	case boolKind:
		return strconv.AppendBool(b, v.yes)
	case numberKind:
		return append(b, v.text...)
	case stringKind:
		return appendString(b, v.text)
	case arrayKind:
		b = append(b, '[')
		for i, item := range v.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendJSON(b)
		}
		return append(b, ']')
	case objectKind:
		b = append(b, '{')
		for i, m := range v.members {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, m.name), ':')
			b = m.value.appendJSON(b)
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

func appendString(b []byte, s string) []byte {
	// The error is of invalid UTF-8, which the YAML parser refuses; AppendQuote
	// then writes a replacement character all the same.
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// integer is v's number where it is written as an int64, else 0.
func (v *value) integer() int64 {
	n, _ := number(v.text).(int64)
	return n
}
