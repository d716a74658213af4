package expr

import (
	"errors"
	"fmt"
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"eventserver/destinations"
)

// fault is what is wrong at a place of an expression.
type fault struct {
	line, column int
	text         string
}

// judge finds the calls that can fail only: those of constants that do fail, and
// those of a constant that no other argument helps, such as a time zone that does
// not exist. The error has one line for each, "line:column: cause".
func (e *environment) judge(a *ast.AST) error {
	var faults []fault
	add := func(id int64, err error) {
		at := a.SourceInfo().GetStartLocation(id)
		f := fault{max(at.Line(), 1), max(at.Column(), 0) + 1, err.Error()}
		if !slices.Contains(faults, f) {
			faults = append(faults, f)
		}
	}
	var visit func(x ast.Expr)
	visit = func(x ast.Expr) {
		if x.Kind() == ast.CallKind && isConstant(x) {
			if id, err := e.evaluate(a, x); err != nil {
				add(id, err)
			}
			return
		}
		if x.Kind() == ast.CallKind {
			if id, err := judgeCall(x); err != nil {
				add(id, err)
			}
		}
		for _, c := range children(x) {
			visit(c)
		}
	}
	visit(a.Expr())
	slices.SortStableFunc(faults, func(x, y fault) int {
		if x.line != y.line {
			return x.line - y.line
		}
		return x.column - y.column
	})
	var errs []error
	for _, f := range faults {
		errs = append(errs, fmt.Errorf("%d:%d: %s", f.line, f.column, f.text)) //nolint:err113 // a list for the user
	}
	return errors.Join(errs...)
}

func children(x ast.Expr) []ast.Expr {
	var out []ast.Expr
	switch x.Kind() {
	case ast.CallKind:
		c := x.AsCall()
		if c.IsMemberFunction() {
			out = append(out, c.Target())
		}
		out = append(out, c.Args()...)
	case ast.SelectKind:
		out = append(out, x.AsSelect().Operand())
	case ast.ListKind:
		out = x.AsList().Elements()
	case ast.MapKind:
		for _, e := range x.AsMap().Entries() {
			out = append(out, e.AsMapEntry().Key(), e.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		c := x.AsComprehension()
		out = append(out, c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result())
	}
	return out
}

// isConstant tells whether x is the same for every event.
func isConstant(x ast.Expr) bool {
	switch x.Kind() {
	case ast.LiteralKind:
		return true
	case ast.CallKind, ast.ListKind, ast.MapKind:
		return !slices.ContainsFunc(children(x), func(c ast.Expr) bool { return !isConstant(c) })
	}
	return false
}

// evaluate runs a part of an expression that is the same for every event. The id
// is that of the part that failed.
func (e *environment) evaluate(a *ast.AST, x ast.Expr) (int64, error) {
	part := ast.NewCheckedAST(ast.NewAST(x, a.SourceInfo()), a.TypeMap(), a.ReferenceMap())
	id := x.ID()
	prg, err := e.env.PlanProgram(part, e.options...)
	if err != nil {
		return id, err
	}
	_, _, err = prg.Eval(&view{event: &destinations.Event{}, meter: meter{limits: limitsFor(0)}})
	if limit := stopped(err); limit != nil {
		return id, limit
	}
	var failed *types.Err
	if errors.As(err, &failed) && failed.NodeID() != 0 {
		id = failed.NodeID()
	}
	if err != nil {
		err = fmt.Errorf("%w: this is so for every event; write another constant", err)
	}
	return id, err
}

// judgeCall judges the constant arguments of a call with others that are not.
func judgeCall(x ast.Expr) (int64, error) {
	c := x.AsCall()
	args := c.Args()
	name := c.FunctionName()
	if c.IsMemberFunction() {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	consts := make([]ref.Val, len(args))
	for i, a := range args {
		if a.Kind() == ast.LiteralKind {
			consts[i] = a.AsLiteral()
		}
	}
	text := func(i int) (string, bool) {
		if i >= len(consts) {
			return "", false
		}
		s, ok := consts[i].(types.String)
		return string(s), ok
	}
	number := func(i int) (int, bool) {
		if i >= len(consts) {
			return 0, false
		}
		n, ok := consts[i].(types.Int)
		return int(n), ok
	}
	switch {
	case timeFields[name]:
		if zone, ok := text(1); ok {
			if _, err := fieldIn(name, zone); err != nil {
				return args[1].ID(), err
			}
		}
	case name == "matches":
		if pattern, ok := text(1); ok {
			if _, _, err := compilePattern(pattern); err != nil {
				return args[1].ID(), fmt.Errorf("%w; write a pattern of RE2", err)
			}
		}
	case name == operators.Divide || name == operators.Modulo:
		if len(consts) == 2 && (consts[1] == ref.Val(types.Int(0)) || consts[1] == ref.Val(types.Uint(0))) {
			return args[1].ID(), errors.New("division by zero; write another divisor")
		}
	case name == operators.Index || name == operators.OptIndex:
		if n, ok := number(1); ok && n < 0 {
			return args[1].ID(), fmt.Errorf("an index of %d is out of bounds: the first item is 0; for the last one write list.last().value()", n)
		}
		if n, ok := number(1); ok && args[0].Kind() == ast.ListKind && n >= args[0].AsList().Size() && name == operators.Index {
			return args[1].ID(), fmt.Errorf("an index of %d is out of bounds of a list of %d items, which begins at 0", n, args[0].AsList().Size())
		}
	case name == "charAt" || name == "substring" || name == "slice" || name == "flatten" || name == "indexOf" || name == "lastIndexOf":
		last := 0
		for i := 1; i < len(args); i++ {
			n, ok := number(i)
			if ok && n < 0 {
				return args[i].ID(), fmt.Errorf("%s with %d: it counts from 0; write a number of 0 or more", name, n)
			}
			if ok && n < last && (name == "substring" || name == "slice") {
				return args[i].ID(), fmt.Errorf("%s from %d to %d: the end is before the start; swap them", name, last, n)
			}
			last = max(last, n)
		}
	case name == "math.bitShiftLeft" || name == "math.bitShiftRight":
		if n, ok := number(1); ok && n < 0 {
			return args[1].ID(), fmt.Errorf("a shift by %d; write a number of 0 or more", n)
		}
	}
	return 0, nil
}

// readsBody tells whether an expression may look at the posted object. What takes
// event as a whole may.
func readsBody(a *ast.AST) bool {
	found := false
	var visit func(x ast.Expr)
	visit = func(x ast.Expr) {
		if x.Kind() == ast.SelectKind && isEvent(x.AsSelect().Operand()) {
			name := x.AsSelect().FieldName()
			found = found || name == "body" || name == "data"
			return
		}
		found = found || isEvent(x)
		for _, c := range children(x) {
			visit(c)
		}
	}
	visit(a.Expr())
	return found
}

func isEvent(x ast.Expr) bool { return x.Kind() == ast.IdentKind && x.AsIdent() == variable }
