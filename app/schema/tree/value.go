package tree

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Kind is what a value is.
type Kind byte

// Kinds of values.
const (
	NullKind Kind = iota
	BoolKind
	NumberKind
	StringKind
	ArrayKind
	ObjectKind
)

// Value is a JSON value of a schema file, with the order of its members and the
// line of each. It is not changed after it was read, so parts may be shared.
type Value struct {
	Kind    Kind
	Text    string // of a string, or a number as JSON writes it
	Yes     bool
	Line    int
	Items   []*Value
	Members []Member
}

// Member is a name of an object with its value.
type Member struct {
	Name  string
	Line  int // of the name
	Value *Value
}

// Get is the member's value, or nil.
func (v *Value) Get(name string) *Value {
	if v == nil {
		return nil
	}
	for i := range v.Members {
		if v.Members[i].Name == name {
			return v.Members[i].Value
		}
	}
	return nil
}

// Str is the text of the string v; "" when v is nil or no string.
func (v *Value) Str() string {
	if v == nil || v.Kind != StringKind {
		return ""
	}
	return v.Text
}

// Is reports whether v is that boolean.
func (v *Value) Is(b bool) bool { return v != nil && v.Kind == BoolKind && v.Yes == b }

// IsObject reports whether v is an object: of a schema, that it is neither true nor false.
func (v *Value) IsObject() bool { return v != nil && v.Kind == ObjectKind }

// Has reports whether v has one of the members.
func (v *Value) Has(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return v.Get(name) != nil })
}

// List is the items of an array; nil when v is none.
func (v *Value) List() []*Value {
	if v == nil {
		return nil
	}
	return v.Items
}

// Names are those of the members of an object; nil when v is none.
func (v *Value) Names() (names []string) {
	if v == nil {
		return nil
	}
	for _, m := range v.Members {
		names = append(names, m.Name)
	}
	return names
}

// At follows a JSON pointer; nil when nothing is there.
func (v *Value) At(ptr string) *Value {
	toks, ok := Tokens(ptr)
	if !ok {
		return nil
	}
	for _, t := range toks {
		switch v.Kind {
		case ObjectKind:
			v = v.Get(t)
		case ArrayKind:
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

func (v *Value) item(token string) *Value {
	if i, ok := index(token); ok && i < len(v.Items) {
		return v.Items[i]
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

// LineAt is the line of the name that ptr ends with, or of the last value on the
// way that is there.
func (v *Value) LineAt(ptr string) int {
	line := v.Line
	toks, _ := Tokens(ptr)
	for _, t := range toks {
		var next *Value
		switch v.Kind {
		case ObjectKind:
			for i := range v.Members {
				if v.Members[i].Name == t {
					next, line = v.Members[i].Value, v.Members[i].Line
				}
			}
		case ArrayKind:
			if next = v.item(t); next != nil {
				line = next.Line
			}
		}
		if next == nil {
			return line
		}
		v = next
	}
	return line
}

// Plain is v as the JSON Schema library takes it.
func (v *Value) Plain() any {
	switch v.Kind {
	case BoolKind:
		return v.Yes
	case NumberKind:
		return Number(v.Text)
	case StringKind:
		return v.Text
	case ArrayKind:
		list := make([]any, len(v.Items))
		for i, item := range v.Items {
			list[i] = item.Plain()
		}
		return list
	case ObjectKind:
		m := make(map[string]any, len(v.Members))
		for _, mem := range v.Members {
			m[mem.Name] = mem.Value.Plain()
		}
		return m
	}
	return nil
}

// AppendJSON writes v without spaces, members in their order.
func (v *Value) AppendJSON(b []byte) []byte {
	switch v.Kind {
	case BoolKind:
		return strconv.AppendBool(b, v.Yes)
	case NumberKind:
		return append(b, v.Text...)
	case StringKind:
		return appendString(b, v.Text)
	case ArrayKind:
		b = append(b, '[')
		for i, item := range v.Items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.AppendJSON(b)
		}
		return append(b, ']')
	case ObjectKind:
		b = append(b, '{')
		for i, m := range v.Members {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, m.Name), ':')
			b = m.Value.AppendJSON(b)
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

// Integer is v's number where it is written as an int64, else 0.
func (v *Value) Integer() int64 {
	n, _ := Number(v.Text).(int64)
	return n
}
