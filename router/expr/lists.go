package expr

import (
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

func listArgs(args []ref.Val) (a, b traits.Lister, ok bool) {
	if len(args) != 2 {
		return nil, nil, false
	}
	a, ok = args[0].(traits.Lister)
	b, ok2 := args[1].(traits.Lister)
	return a, b, ok && ok2
}

// distinct keeps the first of equal items.
func distinct(m *meter, args []ref.Val) ref.Val {
	l, ok := args[0].(traits.Lister)
	if !ok {
		return types.NoSuchOverloadErr()
	}
	n := length(l)
	m.charge(20*n, 160*n)
	seen := make(map[types.String]bool, min(n, 1000))
	var out, others []ref.Val // others are those that no map finds
	for i := range n {
		v := l.Get(types.Int(i))
		if s, ok := v.(types.String); ok {
			m.charge(50+len(s)/4, 0)
			if !seen[s] {
				seen[s] = true
				out = append(out, v)
			}
			continue
		}
		twice := false
		for _, o := range others {
			m.charge(compareWork, 0)
			if twice = equal(m, o, v, 0); twice {
				break
			}
		}
		if !twice {
			others = append(others, v)
			out = append(out, v)
		}
	}
	return types.NewRefValList(types.DefaultTypeAdapter, out)
}

// setContains tells whether the first list has all of the second.
func setContains(m *meter, args []ref.Val) ref.Val {
	a, b, ok := listArgs(args)
	if !ok {
		return types.NoSuchOverloadErr()
	}
	for i := range length(b) {
		if contains(m, a, b.Get(types.Int(i))) != types.True {
			return types.False
		}
	}
	return types.True
}

func setEquivalent(m *meter, args []ref.Val) ref.Val {
	if r := setContains(m, args); r != types.True {
		return r
	}
	return setContains(m, []ref.Val{args[1], args[0]})
}

func setIntersects(m *meter, args []ref.Val) ref.Val {
	a, b, ok := listArgs(args)
	if !ok {
		return types.NoSuchOverloadErr()
	}
	for i := range length(a) {
		if contains(m, b, a.Get(types.Int(i))) == types.True {
			return types.True
		}
	}
	return types.False
}

// sortList sorts a list by itself, or by the keys in the second argument. Items
// that are equal keep their order.
func sortList(m *meter, args []ref.Val) ref.Val {
	l, ok := args[0].(traits.Lister)
	keys := l
	if len(args) == 2 && ok {
		keys, ok = args[1].(traits.Lister)
	}
	if !ok {
		return types.NoSuchOverloadErr()
	}
	n := length(l)
	if n != length(keys) {
		return types.NewErr("sort: %d items and %d keys", n, length(keys))
	}
	m.charge(compareWork*sortWork(n), 64*n)
	type pair struct{ key, item ref.Val }
	pairs := make([]pair, n)
	for i := range pairs {
		pairs[i] = pair{keys.Get(types.Int(i)), l.Get(types.Int(i))}
	}
	var failed ref.Val
	slices.SortStableFunc(pairs, func(a, b pair) int {
		if failed != nil {
			return 0
		}
		c, ok := compare(m, a.key, b.key)
		if !ok {
			failed = types.NewErr("sort: %s and %s have no order; sort values of one type", a.key.Type().TypeName(), b.key.Type().TypeName())
		}
		return c
	})
	if failed != nil {
		return failed
	}
	if n == 1 {
		if _, ok := compare(m, pairs[0].key, pairs[0].key); !ok {
			return types.NewErr("sort: a %s has no order", pairs[0].key.Type().TypeName())
		}
	}
	out := make([]ref.Val, n)
	for i, p := range pairs {
		out[i] = p.item
	}
	return types.NewRefValList(types.DefaultTypeAdapter, out)
}

// extreme is math.greatest and math.least: the number itself, as it is written.
func extreme(m *meter, args []ref.Val, sign int) ref.Val {
	if len(args) == 1 {
		if l, ok := args[0].(traits.Lister); ok {
			n := length(l)
			if n == 0 {
				return types.NewErr("math.greatest and math.least need a number; the list is empty")
			}
			m.charge(compareWork*n, 16*n)
			args = appendItems(make([]ref.Val, 0, n), l)
		}
	}
	best := args[0]
	for _, v := range args {
		chargeNumber(m, v)
		c, ok := compareNumbers(v, best)
		if !ok {
			return types.NoSuchOverloadErr()
		}
		if c == sign {
			best = v
		}
	}
	return best
}
