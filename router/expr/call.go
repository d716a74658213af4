package expr

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// planner makes the nodes of a program. CEL charges for a call after it was made,
// and prices most calls on event.data, which is dynamic, at 1: so every call is
// made by a node of ours, which charges first.
type planner struct {
	functions map[string]function
	// overloads are CEL's implementations, by overload and by function.
	overloads map[string]*functions.Overload
}

// newPlanner refuses an environment with a function that is not in the table.
func newPlanner(env *cel.Env) (*planner, error) {
	p := &planner{functions: table(), overloads: map[string]*functions.Overload{}}
	for name, f := range env.Functions() {
		if _, ok := p.functions[name]; !ok {
			return nil, fmt.Errorf("CEL's function %s has no price: add it to the table of functions", name)
		}
		bindings, err := f.Bindings()
		if err != nil {
			return nil, err
		}
		for _, b := range bindings {
			p.overloads[b.Operator] = b
		}
	}
	return p, nil
}

func (p *planner) decorate(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	switch n := i.(type) {
	case interpreter.InterpretableAttribute:
		return i, nil
	case interpreter.InterpretableCall:
		return p.call(n)
	case interpreter.InterpretableConstructor:
		return literalOf(n), nil
	}
	return i, nil
}

// call is a call of a function.
type call struct {
	interpreter.InterpretableCall
	function
	args []interpreter.InterpretableV2
	impl *functions.Overload
}

func (p *planner) call(n interpreter.InterpretableCall) (interpreter.InterpretableV2, error) {
	f, ok := p.functions[n.Function()]
	if !ok {
		return nil, fmt.Errorf("the function %s has no price", n.Function())
	}
	if f.refused != "" {
		return nil, errors.New(f.refused)
	}
	if f.node {
		return n, nil
	}
	c := &call{InterpretableCall: n, function: f, args: n.Args(), impl: p.overloads[n.OverloadID()]}
	if c.impl == nil {
		c.impl = p.overloads[n.Function()]
	}
	if err := c.specialize(); err != nil {
		return nil, err
	}
	return c, nil
}

// specialize prepares what a constant argument decides: a pattern is compiled
// once, a time zone is read once, and a list of texts is looked up by hash.
func (c *call) specialize() error {
	if len(c.args) != 2 {
		return nil
	}
	k, ok := c.args[1].(interpreter.InterpretableConst)
	if !ok {
		return nil
	}
	switch text, isText := k.Value().(types.String); {
	case c.Function() == "matches" && isText:
		re, size, err := compilePattern(string(text))
		if err != nil {
			return err
		}
		c.own = func(m *meter, a []ref.Val) ref.Val {
			s, ok := a[0].(types.String)
			if !ok {
				return types.NoSuchOverloadErr()
			}
			chargeMatch(m, len(s), size)
			return types.Bool(re.MatchString(string(s)))
		}
	case timeFields[c.Function()] && isText:
		field, err := fieldIn(c.Function(), string(text))
		if err != nil {
			return err
		}
		c.own = func(_ *meter, a []ref.Val) ref.Val {
			t, ok := a[0].(types.Timestamp)
			if !ok {
				return types.NoSuchOverloadErr()
			}
			return field(t)
		}
	case c.Function() == operators.In:
		if set := textSet(k.Value()); set != nil {
			c.own = func(m *meter, a []ref.Val) ref.Val {
				if s, ok := a[0].(types.String); ok && len(s) <= free {
					return types.Bool(set[string(s)])
				}
				return in(m, a)
			}
		}
	}
	return nil
}

// textSet is a list of texts as a set, nil for another value.
func textSet(v ref.Val) map[string]bool {
	l, ok := v.(traits.Lister)
	if !ok {
		return nil
	}
	set := map[string]bool{}
	for it := l.Iterator(); it.HasNext() == types.True; {
		s, ok := it.Next().(types.String)
		if !ok {
			return nil
		}
		set[string(s)] = true
	}
	return set
}

func meterOf(frame *interpreter.ExecutionFrame) *meter {
	v, _ := frame.ResolveName(meterName)
	m, _ := v.(*meter)
	return m
}

// Eval implements interpreter.Interpretable.
func (c *call) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, c.Exec)
}

// Exec implements interpreter.InterpretableV2.
func (c *call) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	m := meterOf(frame)
	base := len(m.stack)
	for _, arg := range c.args {
		v := arg.Exec(frame)
		if types.IsUnknownOrError(v) {
			m.stack = m.stack[:base]
			return v
		}
		m.stack = append(m.stack, v)
	}
	if costs := frame.CostTracker(); costs != nil {
		costs.Qualify(c.ID()) // one step
	}
	args := m.stack[base:]
	res := c.apply(m, args)
	if err, ok := res.(*types.Err); ok && err.NodeID() == 0 {
		res = types.NewErrWithNodeID(c.ID(), "%w", c.explain(err, args))
	}
	clear(args)
	m.stack = m.stack[:base]
	return res
}

func (c *call) apply(m *meter, args []ref.Val) ref.Val {
	if c.own != nil {
		if v := c.own(m, args); v != nil {
			return v
		}
	}
	if c.price != nil {
		c.price(m, args)
	}
	if !c.moves {
		for i, a := range args {
			if args[i] = m.compute(a); types.IsError(args[i]) {
				return args[i]
			}
		}
	}
	o := c.impl
	switch {
	case o == nil:
	case len(args) > 0 && o.OperandTrait != 0 && !args[0].Type().HasTrait(o.OperandTrait):
	case len(args) == 1 && o.Unary != nil:
		return o.Unary(args[0])
	case len(args) == 2 && o.Binary != nil:
		return o.Binary(args[0], args[1])
	case o.Function != nil:
		return o.Function(args...)
	}
	return types.NoSuchOverloadErr()
}

// explain says which types a call was tried with.
func (c *call) explain(err *types.Err, args []ref.Val) error {
	if !strings.HasPrefix(err.Error(), "no such overload") {
		return err
	}
	var of []string
	mixed := map[string]bool{}
	for _, a := range args {
		name := a.Type().TypeName()
		of = append(of, name)
		mixed[name] = true
	}
	name := strings.Trim(c.Function(), "_@")
	msg := fmt.Sprintf("no such overload: %s of %s", name, strings.Join(of, " and "))
	switch {
	case mixed["double"] && mixed["int"] && len(mixed) == 2:
		msg += "; a number with a fraction or an exponent is a double: write double(...) around the other, or 1.0 for 1"
	case mixed["null_type"]:
		msg += "; a member is null: write event.data.x != null && ... in front"
	case mixed["string"] && (mixed["int"] || mixed["double"]):
		msg += "; write int(...), double(...) or string(...) around one of them"
	case mixed["map"] || mixed["list"]:
		msg += "; a member is no number or text: ask for its type first, such as type(event.data.x) == int && ..."
	default:
		msg += "; convert one with int(...), double(...) or string(...), or ask type(...) == string first"
	}
	return fmt.Errorf("%s", msg) //nolint:err113 // a text for the poison queue
}

// literal is a list or map that is written out in an expression.
type literal struct {
	interpreter.InterpretableConstructor
	work, alloc int
}

// literalOf makes a literal of constants once, when the program is made.
func literalOf(n interpreter.InterpretableConstructor) interpreter.InterpretableV2 {
	vals := n.InitVals()
	fixed := true
	for _, v := range vals {
		_, ok := v.(interpreter.InterpretableConst)
		fixed = fixed && ok
	}
	if fixed {
		if v := n.Eval(interpreter.EmptyActivation()); !types.IsUnknownOrError(v) {
			return interpreter.NewConstValue(n.ID(), v)
		}
	}
	return &literal{n, 20 * len(vals), nodeBytes * len(vals)}
}

// Eval implements interpreter.Interpretable.
func (l *literal) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, l.Exec)
}

// Exec implements interpreter.InterpretableV2.
func (l *literal) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	meterOf(frame).charge(l.work, l.alloc)
	return l.InterpretableConstructor.Exec(frame)
}

// Go's regular expressions take time in proportion to text times instructions:
// measured, up to 7 ns for each product. A short pattern may be a long program:
// ((a?){30}){30} on 200 KB took 2.4 s.
const matchWork = 7

func chargeMatch(m *meter, text, size int) { m.charge(text*size*matchWork+100, 0) }

// compilePattern gives the pattern and its number of instructions.
func compilePattern(pattern string) (*regexp.Regexp, int, error) {
	size, err := types.RegexProgramSize(pattern)
	if err != nil {
		return nil, 0, err
	}
	if size > maxProgram {
		return nil, 0, limitf("a pattern of %d instructions; at most %d: write a shorter one, with fewer {n} in each other", size, maxProgram)
	}
	re, err := regexp.Compile(pattern)
	return re, size, err
}

// matchesPrice is that of a pattern that is only known now.
func matchesPrice(m *meter, args []ref.Val) {
	pattern, ok := args[1].(types.String)
	if !ok {
		return
	}
	if len(pattern) > maxPattern {
		m.must(limitf("a pattern of %d bytes; at most %d", len(pattern), maxPattern))
	}
	m.charge(200_000, 200_000) // parsing may repeat a part 1,000 times
	size, err := types.RegexProgramSize(string(pattern))
	if err != nil {
		return // CEL says what is wrong
	}
	if size > maxProgram {
		m.must(limitf("a pattern of %d instructions; at most %d", size, maxProgram))
	}
	chargeMatch(m, textLen(args[0]), size)
}
