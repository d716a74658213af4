package evolve

import (
	"eventserver/app/schema/tree"
	"fmt"
	"slices"
)

func holdsValue(list []*tree.Value, w *tree.Value) bool {
	return slices.ContainsFunc(list, func(x *tree.Value) bool { return same(x, w) })
}

// same is JSON Schema's equality: numbers by value, objects without order.
func same(a, b *tree.Value) bool {
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case tree.BoolKind:
		return a.Yes == b.Yes
	case tree.StringKind:
		return a.Text == b.Text
	case tree.NumberKind:
		x, _ := tree.ExactOf(tree.Number(a.Text))
		y, _ := tree.ExactOf(tree.Number(b.Text))
		return x.Compare(y) == 0
	case tree.ArrayKind:
		return slices.EqualFunc(a.Items, b.Items, same)
	case tree.ObjectKind:
		return len(a.Members) == len(b.Members) && !slices.ContainsFunc(b.Members, func(m tree.Member) bool {
			v := a.Get(m.Name)
			return v == nil || !same(v, m.Value)
		})
	}
	return true
}

// allows says whether v is of one of the types.
func allows(t tree.Types, v *tree.Value) bool {
	switch v.Kind {
	case tree.NullKind:
		return t&tree.TypeNull != 0
	case tree.BoolKind:
		return t&tree.TypeBool != 0
	case tree.StringKind:
		return t&tree.TypeString != 0
	case tree.ArrayKind:
		return t&tree.TypeArray != 0
	case tree.ObjectKind:
		return t&tree.TypeObject != 0
	}
	if tree.IsInteger(tree.Number(v.Text)) {
		return t&tree.TypeInteger != 0
	}
	return t&tree.TypeFraction != 0
}

// shown is a short excerpt of a value.
func shown(v *tree.Value) string {
	switch v.Kind {
	case tree.BoolKind:
		return fmt.Sprint(v.Yes)
	case tree.StringKind:
		return tree.Quote(v.Text)
	case tree.NumberKind:
		return tree.Cut(fmt.Sprint(tree.Number(v.Text)), tree.MaxExcerpt)
	case tree.ArrayKind:
		return "an array"
	case tree.ObjectKind:
		return "an object"
	}
	return "null"
}

// listed lists values, as far as they are short.
func listed(values []*tree.Value) string { return tree.OneOf(values, shown) }
