package quick

import (
	"encoding/json"
	"eventserver/app/schema/tree"
	"hash/maphash"
)

// A decoded JSON value is *object, *array, string, bool, nil, or a number as
// number makes it. Two values are one (==) only if they are equal, so a value can
// be the key of a map.

// object keeps the order of its members: what is found first does not depend on
// the order of a Go map.
type object struct {
	members []entry
	index   map[string]int // of many members; made at the first get
}

type entry struct {
	name  string
	value any
}

type array struct{ items []any }

// fewMembers are found as fast without an index.
const fewMembers = 16

func (o *object) get(name string) (any, bool) {
	if len(o.members) <= fewMembers {
		for i := range o.members {
			if o.members[i].name == name {
				return o.members[i].value, true
			}
		}
		return nil, false
	}
	if o.index == nil {
		o.makeIndex()
	}
	i, ok := o.index[name]
	if !ok {
		return nil, false
	}
	return o.members[i].value, true
}

func (o *object) makeIndex() {
	o.index = make(map[string]int, len(o.members))
	for i := range o.members {
		o.index[o.members[i].name] = i
	}
}

// constant is a value of a compiled schema, which the library keeps in Go's maps.
// Many goroutines read it, so it is complete.
func constant(v any) any {
	switch v := v.(type) {
	case map[string]any:
		o := &object{members: make([]entry, 0, len(v))}
		for _, name := range tree.SortedKeys(v) {
			o.members = append(o.members, entry{name, constant(v[name])})
		}
		o.makeIndex()
		return o
	case []any:
		a := &array{items: make([]any, len(v))}
		for i, item := range v {
			a.items[i] = constant(item)
		}
		return a
	}
	return v
}

// nodeOf is v as an event's value is decoded.
func nodeOf(v *tree.Value) any {
	switch v.Kind {
	case tree.ArrayKind:
		a := &array{items: make([]any, len(v.Items))}
		for i, item := range v.Items {
			a.items[i] = nodeOf(item)
		}
		return a
	case tree.ObjectKind:
		o := &object{members: make([]entry, len(v.Members))}
		for i, m := range v.Members {
			o.members[i] = entry{m.Name, nodeOf(m.Value)}
		}
		return o
	}
	return v.Plain()
}

// hasType says whether v is of one of the types.
func hasType(t tree.Types, v any) bool {
	switch v := v.(type) {
	case nil:
		return t&tree.TypeNull != 0
	case bool:
		return t&tree.TypeBool != 0
	case string:
		return t&tree.TypeString != 0
	case *array:
		return t&tree.TypeArray != 0
	case *object:
		return t&tree.TypeObject != 0
	case int64:
		return t&tree.TypeInteger != 0
	default:
		if t&tree.TypeInteger != 0 && t&tree.TypeFraction != 0 {
			return true
		}
		return t&tree.TypeInteger != 0 && tree.IsInteger(v) || t&tree.TypeFraction != 0 && !tree.IsInteger(v)
	}
}

// equal is JSON Schema's equality: numbers by value, objects without order. It charges
// for each pair of values that it compares.
func (r *run) equal(a, b any) bool {
	if !r.spend(1) {
		return false
	}
	switch a := a.(type) {
	case *object:
		b, ok := b.(*object)
		if !ok || len(a.members) != len(b.members) {
			return false
		}
		for _, m := range b.members { // a is the event's; b may be shared and has its index
			if !r.spend(1 + textCost(m.name)) {
				return false
			}
			if v, given := a.get(m.name); !given || !r.equal(v, m.value) {
				return false
			}
		}
		return true
	case *array:
		b, ok := b.(*array)
		if !ok || len(a.items) != len(b.items) {
			return false
		}
		for i, item := range a.items {
			if !r.equal(item, b.items[i]) {
				return false
			}
		}
		return true
	case string:
		b, ok := b.(string)
		return ok && len(a) == len(b) && r.spend(textCost(a)) && a == b
	case int64:
		if b, ok := b.(int64); ok {
			return a == b
		}
	case json.Number:
	default: // true, false, null
		switch b.(type) {
		case bool, nil:
			return a == b
		}
		return false
	}
	x, ok := tree.ExactOf(a)
	y, also := tree.ExactOf(b)
	return ok && also && r.spend(numberCost(a)) && x.Compare(y) == 0
}

// seed is the program's own, so that nobody can choose values that collide.
var seed = maphash.MakeSeed()

func hashPair(a, b uint64) uint64 { return maphash.Comparable(seed, [2]uint64{a, b}) }

// hash is the same for equal values.
func (r *run) hash(v any) uint64 {
	if !r.spend(1) {
		return 0
	}
	switch v := v.(type) {
	case *object:
		sum := uint64(len(v.members))
		for _, m := range v.members { // in any order
			r.spend(1 + textCost(m.name))
			sum += hashPair(maphash.String(seed, m.name), r.hash(m.value))
		}
		return hashPair(1, sum)
	case *array:
		h := uint64(2)
		for _, item := range v.items {
			h = hashPair(h, r.hash(item))
		}
		return h
	case string:
		r.spend(textCost(v))
		return maphash.String(seed, v)
	case int64:
		return maphash.Comparable(seed, v)
	case json.Number:
		r.spend(numberCost(v))
		d, _ := tree.ExactOf(v)
		if n, ok := d.Small(); ok {
			return maphash.Comparable(seed, n)
		}
		return maphash.Comparable(seed, d)
	}
	return maphash.Comparable(seed, v) // true, false, null
}
