package schema

import (
	"fmt"
	"slices"
)

func holdsValue(list []*value, w *value) bool {
	return slices.ContainsFunc(list, func(x *value) bool { return same(x, w) })
}

// same is JSON Schema's equality: numbers by value, objects without order.
func same(a, b *value) bool {
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case boolKind:
		return a.yes == b.yes
	case stringKind:
		return a.text == b.text
	case numberKind:
		x, _ := exactOf(number(a.text))
		y, _ := exactOf(number(b.text))
		return x.compare(y) == 0
	case arrayKind:
		return slices.EqualFunc(a.items, b.items, same)
	case objectKind:
		return len(a.members) == len(b.members) && !slices.ContainsFunc(b.members, func(m member) bool {
			v := a.get(m.name)
			return v == nil || !same(v, m.value)
		})
	}
	return true
}

// allows says whether v is of one of the types.
func allows(t types, v *value) bool {
	switch v.kind {
	case nullKind:
		return t&typeNull != 0
	case boolKind:
		return t&typeBool != 0
	case stringKind:
		return t&typeString != 0
	case arrayKind:
		return t&typeArray != 0
	case objectKind:
		return t&typeObject != 0
	}
	if isInteger(number(v.text)) {
		return t&typeInteger != 0
	}
	return t&typeFraction != 0
}

// shown is a short excerpt of a value.
func shown(v *value) string {
	switch v.kind {
	case boolKind:
		return fmt.Sprint(v.yes)
	case stringKind:
		return quote(v.text)
	case numberKind:
		return cut(fmt.Sprint(number(v.text)), maxExcerpt)
	case arrayKind:
		return "an array"
	case objectKind:
		return "an object"
	}
	return "null"
}

// listed lists values, as far as they are short.
func listed(values []*value) string {
	if len(values) == 1 {
		return shown(values[0])
	}
	s := "one of "
	for i, v := range values {
		next := shown(v)
		if i > 0 {
			s += ", "
		}
		if len(s)+len(next) > 200 {
			return s + "..."
		}
		s += next
	}
	return s
}
