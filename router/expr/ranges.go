package expr

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// rangeCall cannot be written in CEL. It stands around what a loop goes over, and
// lets through lists and maps only: CEL's loop asks a text for its size first, which
// counts its characters, free of charge, and takes an empty text for an empty list.
const rangeCall = "@range"

func rangeFunction() cel.EnvOption {
	return cel.Function(rangeCall, cel.Overload(rangeCall, []*cel.Type{cel.DynType}, cel.DynType,
		cel.UnaryBinding(func(v ref.Val) ref.Val { return v })))
}

func loopRange(_ *meter, args []ref.Val) ref.Val {
	switch v := args[0].(type) {
	case traits.Lister, traits.Mapper:
		return v
	}
	return types.WrapErr(fmt.Errorf("a %s is not a list or a map, so it has no items to go over; ask type(...) == list first", args[0].Type().TypeName())) //nolint:err113 // a text for the poison queue
}

// guardLoops puts a rangeCall around what each loop of a goes over.
func guardLoops(a *ast.AST) {
	fac := ast.NewExprFactory()
	id := ast.MaxID(a)
	var visit func(x ast.Expr)
	visit = func(x ast.Expr) {
		for _, c := range children(x) {
			visit(c)
		}
		if x.Kind() != ast.ComprehensionKind {
			return
		}
		c := x.AsComprehension()
		over := c.IterRange()
		if over.Kind() == ast.ListKind {
			return
		}
		id++
		if at, ok := a.SourceInfo().GetOffsetRange(over.ID()); ok {
			a.SourceInfo().SetOffsetRange(id, at)
		}
		a.ReferenceMap()[id] = ast.NewFunctionReference(rangeCall)
		a.TypeMap()[id] = types.DynType
		x.SetKindCase(fac.NewComprehensionTwoVar(x.ID(), fac.NewCall(id, rangeCall, over), c.IterVar(), c.IterVar2(),
			c.AccuVar(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()))
	}
	visit(a.Expr())
}
