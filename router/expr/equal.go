package expr

import (
	"bytes"
	"fmt"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// compareWork is what one comparison of two values costs, in ns.
const compareWork = 100

func equalVal(m *meter, a, b ref.Val) ref.Val { return types.Bool(equal(m, a, b, 0)) }

// equal is CEL's == with two differences: numbers are compared as they are
// written, and each step is charged before it is done.
func equal(m *meter, a, b ref.Val, depth int) bool {
	if depth > 2*maxDepth {
		m.must(errDeep)
	}
	switch x := a.(type) {
	case *object, *array:
		if x == any(b) { // the same part of the event
			return true
		}
	}
	switch a := a.(type) {
	case types.String:
		b, ok := b.(types.String)
		if !ok || len(a) != len(b) {
			return false
		}
		if len(a) > free {
			m.charge(len(a)/8, 0)
		}
		return a == b
	case types.Bytes:
		b, ok := b.(types.Bytes)
		if !ok || len(a) != len(b) {
			return false
		}
		m.charge(len(a)/8, 0)
		return string(a) == string(b)
	case types.Int:
		if b, ok := b.(types.Int); ok {
			return a == b
		}
		return equalNumbers(m, a, b)
	case number, types.Uint, types.Double:
		return equalNumbers(m, a, b)
	case traits.Mapper:
		b, ok := b.(traits.Mapper)
		return ok && equalMaps(m, a, b, depth)
	case traits.Lister:
		b, ok := b.(traits.Lister)
		return ok && equalLists(m, a, b, depth)
	case *types.Optional:
		b, ok := b.(*types.Optional)
		if !ok || !a.HasValue() || !b.HasValue() {
			return ok && a.HasValue() == b.HasValue()
		}
		return equal(m, a.GetValue(), b.GetValue(), depth+1)
	}
	return types.Equal(a, b) == types.True
}

var errDeep = fmt.Errorf("%w: a value is nested more than %d levels deep", ErrLimit, 2*maxDepth)

func equalNumbers(m *meter, a, b ref.Val) bool {
	chargeNumber(m, a)
	chargeNumber(m, b)
	c, ok := compareNumbers(a, b)
	return ok && c == 0
}

// chargeNumber charges for comparing a number digit by digit.
func chargeNumber(m *meter, v ref.Val) {
	switch n := v.(type) {
	case number:
		m.charge(400+8*len(n), 2*len(n))
	case types.Double:
		m.charge(100, 0)
	}
}

func equalLists(m *meter, a, b traits.Lister, depth int) bool {
	n := a.Size()
	if n != b.Size() {
		return false
	}
	for i := types.Int(0); i < n.(types.Int); i++ {
		m.charge(compareWork, 0)
		if !equal(m, a.Get(i), b.Get(i), depth+1) {
			return false
		}
	}
	return true
}

func equalMaps(m *meter, a, b traits.Mapper, depth int) bool {
	if a.Size() != b.Size() {
		return false
	}
	for it := a.Iterator(); it.HasNext() == types.True; {
		m.charge(2*compareWork, 0)
		key := it.Next()
		other, found := b.Find(key)
		if !found || !equal(m, a.Get(key), other, depth+1) {
			return false
		}
	}
	return true
}

// contains is CEL's in.
func contains(m *meter, list traits.Lister, elem ref.Val) ref.Val {
	n := list.Size().(types.Int)
	for i := types.Int(0); i < n; i++ {
		m.charge(compareWork, 0)
		if equal(m, elem, list.Get(i), 0) {
			return types.True
		}
	}
	return types.False
}

// compare orders two values of one kind, numbers as they are written. ok is false
// when they have no order.
func compare(m *meter, a, b ref.Val) (c int, ok bool) {
	switch x := a.(type) {
	case types.String:
		y, ok := b.(types.String)
		if n := min(len(x), len(y)); ok && n > free {
			m.charge(n/8, 0)
		}
		return strings.Compare(string(x), string(y)), ok
	case types.Bytes:
		y, ok := b.(types.Bytes)
		m.charge(min(len(x), len(y))/8, 0)
		return bytes.Compare(x, y), ok
	case types.Int, types.Uint, types.Double, number:
		chargeNumber(m, a)
		chargeNumber(m, b)
		return compareNumbers(a, b)
	case traits.Comparer:
		c, ok := x.Compare(b).(types.Int)
		return int(c), ok
	}
	return 0, false
}

// addLists makes one list of two. CEL's own list of two lists finds an item in
// the time of all the lists that it was made of.
func addLists(m *meter, a traits.Lister, b ref.Val) ref.Val {
	other, ok := b.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(b)
	}
	n := length(a) + length(other)
	m.charge(40*n, 16*n)
	all := make([]ref.Val, 0, n)
	return types.NewRefValList(types.DefaultTypeAdapter, appendItems(appendItems(all, a), other))
}

func appendItems(to []ref.Val, l traits.Lister) []ref.Val {
	n := l.Size().(types.Int)
	for i := types.Int(0); i < n; i++ {
		to = append(to, l.Get(i))
	}
	return to
}

// length is what size() says, in bytes for text.
func length(v ref.Val) int {
	switch v := v.(type) {
	case types.String:
		return len(v)
	case types.Bytes:
		return len(v)
	case number:
		return len(v)
	case traits.Sizer:
		if n, ok := v.Size().(types.Int); ok {
			return int(n)
		}
	}
	return 1
}
