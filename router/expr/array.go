package expr

import (
	"errors"
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// array is a JSON list of an event. One goroutine uses it.
type array struct {
	meter  *meter
	raw    []byte
	items  []item
	opened bool
	vals   []ref.Val // of a short list, once they were asked for
}

type item struct{ start, end int32 }

const (
	itemBytes = 8
	// manyItems is from where on an array does not remember the values of its items.
	manyItems = 256 << 10
	// valueBytes is what the value of a short item takes.
	valueBytes = 48
	// valueWork and openWork are what it takes to make a value, and to look into
	// an object or list, in ns.
	valueWork, openWork = 150, 250
	// indexWork is what it takes to note where an item or a member is, in ns.
	indexWork = 15
)

func (a *array) open() {
	if !a.opened {
		a.opened = true
		a.meter.must(a.index())
	}
}

func (a *array) index() error {
	m, b := a.meter, a.raw
	m.charge(openWork, 0)
	i := space(b, 1)
	for at(b, i) != ']' {
		end, err := m.skip(b, i)
		if err != nil {
			return err
		}
		m.reads(indexWork)
		if len(a.items) == cap(a.items) {
			m.charge(0, itemBytes*max(8, 2*cap(a.items)))
			a.items = append(make([]item, 0, max(8, 2*cap(a.items))), a.items...)
		}
		a.items = append(a.items, item{int32(i), int32(end)})
		if i, err = next(b, end, ']'); err != nil {
			return err
		}
	}
	return ended(b, i)
}

// next gives where the next part of an object or list begins, or its bracket.
func next(b []byte, i int, bracket byte) (int, error) {
	i = space(b, i)
	switch at(b, i) {
	case bracket:
		return i, nil
	case ',':
		if i = space(b, i+1); at(b, i) != bracket {
			return i, nil
		}
	}
	if i >= len(b) {
		return 0, errBody(errEnd)
	}
	return 0, errBody(errAt(i, "no comma or bracket"))
}

// ended is an error when the text goes on after its last bracket, at i.
func ended(b []byte, i int) error {
	if i != len(b)-1 {
		return errBody(errors.New("more than one JSON value"))
	}
	return nil
}

func (a *array) at(i int) ref.Val {
	raw := a.raw[a.items[i].start:a.items[i].end]
	if len(a.items) > manyItems {
		a.meter.charge(valueWork, nodeBytes)
		return a.meter.value(raw)
	}
	if a.vals == nil {
		a.meter.charge(0, 16*len(a.items))
		a.vals = make([]ref.Val, len(a.items))
	}
	if a.vals[i] == nil {
		a.meter.charge(valueWork, valueBytes)
		a.vals[i] = a.meter.value(raw)
	}
	return a.vals[i]
}

func (a *array) ConvertToNative(t reflect.Type) (any, error) { return convertNative(a, t) }
func (a *array) ConvertToType(t ref.Type) ref.Val            { return convertContainer(a, t) }
func (a *array) Equal(other ref.Val) ref.Val                 { return equalVal(a.meter, a, other) }
func (a *array) Type() ref.Type                              { return types.ListType }
func (a *array) Value() any                                  { return a }
func (a *array) IsZeroValue() bool                           { return a.Size() == types.IntZero }

func (a *array) Add(other ref.Val) ref.Val     { return addLists(a.meter, a, other) }
func (a *array) Contains(elem ref.Val) ref.Val { return contains(a.meter, a, elem) }

func (a *array) Get(index ref.Val) ref.Val {
	i, err := types.GetOrError(a.meter.compute(index))
	if err != nil {
		return types.WrapErr(err)
	}
	a.open()
	if i < 0 || i >= len(a.items) {
		return types.NewErr("index out of bounds: %d", i)
	}
	return a.at(i)
}

func (a *array) Size() ref.Val {
	a.open()
	return types.Int(len(a.items))
}

func (a *array) Iterator() traits.Iterator {
	a.open()
	return &elements{array: a}
}

// Fold implements traits.Foldable.
func (a *array) Fold(f traits.Folder) {
	a.open()
	for i := range a.items {
		if !f.FoldEntry(types.Int(i), a.at(i)) {
			return
		}
	}
}

// elements goes over the items of an array.
type elements struct {
	types.Null // an iterator is no value; nothing asks for one
	array      *array
	next       int
}

func (e *elements) HasNext() ref.Val { return types.Bool(e.next < len(e.array.items)) }

func (e *elements) Next() ref.Val {
	e.next++
	return e.array.at(e.next - 1)
}
