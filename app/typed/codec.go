package typed

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"eventserver/app/schema/gogen/exact"
)

// Event is a type that knows which events it is. The structs that `make
// generate` writes are.
type Event interface {
	// EventType is the same for every value, the zero value too.
	EventType() string
}

// Codec turns values of one Go type into the data of one type of event, and
// back.
type Codec struct {
	typ    string
	goType reflect.Type
	encode func(v any) ([]byte, error)
	decode func(data []byte) (any, error)
	fault  string
}

// NewCodec makes the codec of events of type typ. decode gets the event's own
// bytes, which others may have written.
func NewCodec[T any](typ string, encode func(T) ([]byte, error), decode func(data []byte) (T, error)) Codec {
	c := Codec{typ: typ, goType: reflect.TypeFor[T]()}
	if encode != nil && decode != nil {
		c.encode = func(v any) ([]byte, error) { return encode(v.(T)) }
		c.decode = func(data []byte) (any, error) { return decode(data) }
	}
	return c
}

// JSON is the codec of a struct that looks in JSON as its events do. It reads what
// the schema reads: names by case and once each, valid UTF-8, 1.0 as an integer,
// every date-time. The rest is as encoding/json does it; numbers in any are
// json.Number.
func JSON[T Event]() Codec {
	if t := reflect.TypeFor[T](); t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return Codec{fault: fmt.Sprintf("%v is a pointer or an interface; use the struct itself", t)}
	}
	var zero T
	if fault := unreadable(new(T)); fault != nil {
		return Codec{fault: fmt.Sprintf("%T cannot be read from JSON: %v", zero, fault)}
	}
	return NewCodec(zero.EventType(), func(v T) ([]byte, error) { return exact.Marshal(v) }, func(data []byte) (v T, err error) {
		err = exact.Unmarshal(data, &v)
		return v, err
	})
}

// unreadable tells of a struct whose fields JSON cannot have: each event would go
// to the poison queue. What has a method of its own decides itself.
func unreadable(v any) error {
	switch v.(type) {
	case json.Unmarshaler, encoding.TextUnmarshaler:
		return nil
	}
	return exact.Unmarshal([]byte("{}"), v)
}

// Codecs are all that a program knows.
type Codecs struct {
	byType   map[string]Codec
	byGoType map[reflect.Type]Codec
}

// NewCodecs collects codecs. A type of event and a Go type have one each.
func NewCodecs(codecs ...Codec) (*Codecs, error) {
	all := &Codecs{byType: map[string]Codec{}, byGoType: map[reflect.Type]Codec{}}
	var errs []error
	for i, c := range codecs {
		switch {
		case c.fault != "":
			errs = append(errs, fmt.Errorf("typed: codecs[%d]: %s", i, c.fault))
			continue
		case c.typ == "" || c.goType == nil:
			errs = append(errs, fmt.Errorf("typed: codecs[%d] has no type of event", i))
			continue
		case c.encode == nil:
			errs = append(errs, fmt.Errorf("typed: the codec of %s lacks a function", c.typ))
			continue
		}
		if other, ok := all.byType[c.typ]; ok {
			errs = append(errs, fmt.Errorf("typed: two codecs are of events of type %s: for %v and for %v", c.typ, other.goType, c.goType))
		}
		if other, ok := all.byGoType[c.goType]; ok {
			errs = append(errs, fmt.Errorf("typed: two codecs are for %v: of %s and of %s; give one of them a type of its own", c.goType, other.typ, c.typ))
		}
		all.byType[c.typ], all.byGoType[c.goType] = c, c
	}
	return all, errors.Join(errs...)
}

// of finds the codec for a Go type.
func (c *Codecs) of(t reflect.Type) (Codec, error) {
	if codec, ok := c.byGoType[t]; ok {
		return codec, nil
	}
	return Codec{}, fmt.Errorf("typed: there is no codec for %v; add one to the program's codecs", t)
}
