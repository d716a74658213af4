package expr

import (
	"fmt"
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// errBody wraps what is wrong with a body that is no JSON.
func errBody(err error) error {
	return fmt.Errorf("the event's body cannot be read as JSON: %w", err)
}

// value gives the CEL value of raw, a JSON value that skip has read. Objects and
// lists stay text until an expression looks into them.
func (m *meter) value(raw []byte) ref.Val {
	switch raw[0] {
	case '{':
		m.charge(0, nodeBytes)
		return &object{meter: m, raw: raw}
	case '[':
		m.charge(0, nodeBytes)
		return &array{meter: m, raw: raw}
	case '"':
		return types.String(m.text(raw))
	case 't':
		return types.True
	case 'f':
		return types.False
	case 'n':
		return types.NullValue
	}
	if len(raw) > free {
		m.charge(len(raw), len(raw))
	}
	return readNumber(string(raw))
}

// escapeWork is what it takes to read a byte of a string that has escapes, in ns.
const escapeWork = 8

// text charges for the string that quoted stands for, and gives it.
func (m *meter) text(quoted []byte) string {
	switch {
	case hasEscape(quoted):
		m.charge(escapeWork*len(quoted), len(quoted))
	case len(quoted) > free:
		m.charge(len(quoted)/8, len(quoted))
	}
	s, err := text(quoted)
	m.must(err)
	return s
}

// skip reads over the value at b[i] and charges for it. It does not go on beyond
// what is left to be read.
func (m *meter) skip(b []byte, i int) (int, error) {
	end, took, err := skip(b, i, m.limits.read-m.read)
	m.reads(took)
	if err != nil {
		return 0, errBody(err)
	}
	return end, nil
}

func convertContainer(v ref.Val, t ref.Type) ref.Val {
	switch t {
	case v.Type():
		return v
	case types.TypeType:
		return v.Type().(*types.Type)
	}
	return types.NewErr("type conversion error from '%s' to '%s'", v.Type(), t)
}

func convertNative(v ref.Val, t reflect.Type) (any, error) {
	if t == reflect.TypeFor[ref.Val]() || t == reflect.TypeFor[any]() {
		return v, nil
	}
	return nil, fmt.Errorf("a %s of the event cannot become %v", v.Type().TypeName(), t)
}

// decode gives the value of a whole event's body.
func (m *meter) decode(data []byte) (ref.Val, error) {
	if len(data) > m.limits.event {
		return nil, fmt.Errorf("%w: the event has %d bytes, and an expression reads the body of an event of up to %d MiB", ErrLimit, len(data), m.limits.event>>20)
	}
	m.reads(len(data) / 8)
	raw, err := wholeJSON(data)
	if err != nil {
		return nil, errBody(err)
	}
	switch at(raw, 0) {
	case '{':
		o := &object{meter: m, raw: raw}
		o.open()
		return o, nil
	case '[':
		a := &array{meter: m, raw: raw}
		a.open()
		return a, nil
	}
	end, err := m.skip(raw, 0)
	if err == nil {
		err = ended(raw, end-1)
	}
	if err != nil {
		return nil, err
	}
	return m.value(raw), nil
}
