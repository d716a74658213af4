package expr

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"
)

// located is err with the line and the column of the part that failed, as the
// faults of compiling have them, and what to write instead: the reader finds it in
// a poison queue, without the expression.
func (p *program) located(err error, filter bool) error {
	var failed *types.Err
	if !errors.As(err, &failed) || failed.NodeID() == 0 {
		return err
	}
	at := p.ast.SourceInfo().GetStartLocation(failed.NodeID())
	if at.Line() < 1 {
		return err
	}
	if key, ok := strings.CutPrefix(err.Error(), "no such key: "); ok {
		err = fmt.Errorf("%w; %s", err, p.ask(failed.NodeID(), key, filter))
	} else if strings.HasPrefix(err.Error(), "invalid qualifier type: expr.number") {
		err = errors.New("the index is a number with a point or an exponent, such as 1.0: write list[int(...)]")
	} else if strings.HasPrefix(err.Error(), "index out of bounds: ") {
		err = fmt.Errorf("%w; write size(list) > n && ... in front, or list[?n].orValue(...)", err)
	} else if text, ok := converted(err.Error()); ok {
		err = reworded{text, err}
	}
	return fmt.Errorf("%d:%d: %w", at.Line(), at.Column()+1, err)
}

// ask says how to ask for the member key first.
func (p *program) ask(id int64, key string, filter bool) string {
	has, optional := "has(event.data."+key+")", "event.data.?"+key
	if x := find(p.ast.Expr(), id); x != nil {
		if x = owner(x, key); x != nil {
			if operand, err := parser.Unparse(operandOf(x), p.ast.SourceInfo()); err == nil {
				has, optional = "has("+operand+"."+key+")", operand+".?"+key
				if x.Kind() == ast.CallKind {
					has, optional = strconv.Quote(key)+" in "+operand, operand+"[?"+strconv.Quote(key)+"]"
				}
			}
		}
	}
	if filter {
		return fmt.Sprintf("write %s && ... in front", has)
	}
	return fmt.Sprintf("write %s.orValue(null), or %s ? ... : ...", optional, has)
}

func find(x ast.Expr, id int64) ast.Expr {
	if x.ID() == id {
		return x
	}
	for _, c := range children(x) {
		if f := find(c, id); f != nil {
			return f
		}
	}
	return nil
}

// owner is the part of a path a.b.c that selects key, nil without one.
func owner(x ast.Expr, key string) ast.Expr {
	for x != nil {
		switch x.Kind() {
		case ast.SelectKind:
			if x.AsSelect().FieldName() == key {
				return x
			}
		case ast.CallKind:
			c := x.AsCall()
			if c.FunctionName() != operators.Index || len(c.Args()) != 2 {
				return nil
			}
			if k := c.Args()[1]; k.Kind() == ast.LiteralKind && k.AsLiteral().Value() == any(key) {
				return x
			}
		}
		x = operandOf(x)
	}
	return nil
}

func operandOf(x ast.Expr) ast.Expr {
	switch x.Kind() {
	case ast.SelectKind:
		return x.AsSelect().Operand()
	case ast.CallKind:
		if c := x.AsCall(); c.FunctionName() == operators.Index && len(c.Args()) == 2 {
			return c.Args()[0]
		}
	}
	return nil
}
