package expr

import (
	"bytes"
	"errors"
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// member is where a member of an object stands in the object's text.
type member struct {
	name, nameEnd, value, end int32
	val                       ref.Val // once it was asked for
}

const (
	memberBytes = 32
	// manyMembers is from where on an object finds its members by a map.
	manyMembers = 16
	nodeBytes   = 112 // of an object or array, and of a map's entry
)

// object is a JSON object of an event. One goroutine uses it.
type object struct {
	meter   *meter
	raw     []byte
	members []member
	byName  map[string]int32
	opened  bool
}

var errTwice = errors.New("a name stands twice in an object (duplicate)")

// open finds where the members are.
func (o *object) open() {
	if !o.opened {
		o.opened = true
		o.meter.must(o.index())
	}
}

func (o *object) index() error {
	m, b := o.meter, o.raw
	m.charge(openWork, 0)
	i := space(b, 1)
	for at(b, i) != '}' {
		nameEnd, start, err := skipName(b, i)
		if err != nil {
			return errBody(err)
		}
		end, err := m.skip(b, start)
		if err != nil {
			return err
		}
		m.reads((nameEnd-i)/4 + indexWork)
		if len(o.members) == cap(o.members) {
			m.charge(0, memberBytes*max(4, 2*cap(o.members)))
		}
		// An event is at most MaxEventBytes long.
		o.members = append(o.members, member{name: int32(i), nameEnd: int32(nameEnd), value: int32(start), end: int32(end)})
		if err := o.addName(len(o.members) - 1); err != nil {
			return err
		}
		if i, err = next(b, end, '}'); err != nil {
			return err
		}
	}
	return ended(b, i)
}

// addName refuses a name that stands twice. It maps the names of an object that has
// many, or one that is written with escapes: that one is read once only.
func (o *object) addName(i int) error {
	if i < manyMembers && o.byName == nil && !hasEscape(o.rawName(i)) {
		for j := range i {
			if string(o.rawName(i)) == string(o.rawName(j)) {
				return errBody(errTwice)
			}
		}
		return nil
	}
	if o.byName == nil {
		o.byName = make(map[string]int32, 2*manyMembers)
		o.meter.charge(100*i, 2*manyMembers*nodeBytes)
		for j := range i {
			o.byName[o.name(j)] = int32(j)
		}
	}
	o.meter.charge(100, nodeBytes)
	name := o.name(i)
	if _, ok := o.byName[name]; ok {
		return errBody(errTwice)
	}
	o.byName[name] = int32(i)
	return nil
}

func (o *object) rawName(i int) []byte { return o.raw[o.members[i].name:o.members[i].nameEnd] }

func (o *object) name(i int) string { return o.meter.text(o.rawName(i)) }

func hasEscape(raw []byte) bool { return bytes.IndexByte(raw, '\\') >= 0 }

// lookup gives the index of a member, -1 without it.
func (o *object) lookup(name string) int {
	o.open()
	if o.byName != nil {
		if i, ok := o.byName[name]; ok {
			return int(i)
		}
		return -1
	}
	for i := range o.members {
		if raw := o.rawName(i); string(raw[1:len(raw)-1]) == name {
			return i
		}
	}
	return -1
}

func (o *object) at(i int) ref.Val {
	f := &o.members[i]
	if f.val == nil {
		o.meter.charge(valueWork, valueBytes)
		f.val = o.meter.value(o.raw[f.value:f.end])
	}
	return f.val
}

func (o *object) ConvertToNative(t reflect.Type) (any, error) { return convertNative(o, t) }
func (o *object) ConvertToType(t ref.Type) ref.Val            { return convertContainer(o, t) }
func (o *object) Equal(other ref.Val) ref.Val                 { return equalVal(o.meter, o, other) }
func (o *object) Type() ref.Type                              { return types.MapType }
func (o *object) Value() any                                  { return o }
func (o *object) IsZeroValue() bool                           { return o.Size() == types.IntZero }

func (o *object) Contains(key ref.Val) ref.Val {
	_, found := o.Find(key)
	return types.Bool(found)
}

// Find implements traits.Mapper.
func (o *object) Find(key ref.Val) (ref.Val, bool) {
	if name, ok := key.(types.String); ok {
		if i := o.lookup(string(name)); i >= 0 {
			return o.at(i), true
		}
	}
	return nil, false
}

func (o *object) Get(key ref.Val) ref.Val {
	if v, found := o.Find(key); found {
		return v
	}
	return types.ValOrErr(key, "no such key: %v", key)
}

func (o *object) Size() ref.Val {
	o.open()
	return types.Int(len(o.members))
}

func (o *object) Iterator() traits.Iterator {
	o.open()
	return &names{object: o}
}

// Fold implements traits.Foldable.
func (o *object) Fold(f traits.Folder) {
	o.open()
	for i := range o.members {
		if !f.FoldEntry(types.String(o.name(i)), o.at(i)) {
			return
		}
	}
}

// names goes over the names of an object.
type names struct {
	types.Null // an iterator is no value; nothing asks for one
	object     *object
	next       int
}

func (n *names) HasNext() ref.Val { return types.Bool(n.next < len(n.object.members)) }

func (n *names) Next() ref.Val {
	n.next++
	return types.String(n.object.name(n.next - 1))
}
