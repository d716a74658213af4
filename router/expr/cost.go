package expr

import (
	"math/bits"

	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// pricer says what a call costs where CEL's own prices are wrong for us. CEL
// prices == and in by the outermost length alone, and any call whose overload
// is not known at compile time at 1. On event.data, which is dynamic, most calls
// are of that kind: sorting 50,000 items in a loop would be nearly free.
//
// A unit is about 100 ns.
type pricer struct{ sizer *types.SizeCalculator }

// CallCost implements cost.ActualCostEstimator; nil leaves it to CEL.
func (p pricer) CallCost(function, overloadID string, args []ref.Val, result ref.Val) *uint64 {
	c := uint64(1)
	switch function {
	case operators.Equals, operators.NotEquals:
		if len(args) == 2 {
			c += min(p.walk(args[0]), p.walk(args[1]))
		}
		return &c
	case operators.In, operators.OldIn:
		if l, ok := args[len(args)-1].(traits.Lister); ok {
			c += p.walk(l)
		}
		return &c
	case "size":
		if s, ok := args[0].(types.String); ok {
			c += uint64(len(s)) / 200 // counts characters
		}
		return &c
	case "matches":
		if len(args) == 2 {
			// The instructions are not known here; a pattern's length is a hint.
			c += uint64(length(args[0])) * uint64(length(args[1])) / 2
		}
		return &c
	case operators.Index, operators.OptIndex, operators.OptSelect:
		return &c
	case "sort", "@sortByAssociatedKeys":
		n := uint64(length(args[0]))
		c += n * uint64(bits.Len64(n))
		return &c
	}
	if overloadID != "" {
		return nil
	}
	for _, a := range args {
		c += text(a)
		if l, ok := a.(traits.Lister); ok && function != operators.Add {
			c += uint64(length(l))
		}
	}
	c += text(result)
	return &c
}

// walk is what it costs to look at all of a value. Text is compared at memory
// speed.
func (p pricer) walk(v ref.Val) uint64 {
	switch v := v.(type) {
	case types.String:
		return uint64(len(v)) / 1000
	case types.Bytes:
		return uint64(len(v)) / 1000
	}
	return uint64(p.sizer.AggregateSize(v))
}

// text is what CEL asks for reading or making text: 0.1 a byte.
func text(v ref.Val) uint64 {
	switch v := v.(type) {
	case types.String:
		return uint64(len(v)) / 10
	case types.Bytes:
		return uint64(len(v)) / 10
	}
	return 0
}

func length(v ref.Val) int {
	switch v := v.(type) {
	case types.String:
		return len(v)
	case types.Bytes:
		return len(v)
	case traits.Lister:
		if n, ok := v.Size().(types.Int); ok {
			return int(n)
		}
	}
	return 1
}
