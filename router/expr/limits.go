package expr

import (
	"errors"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// ErrLimit is wrapped by the error of a run that was stopped because it cost
// too much, held too much or gave too large a result. Running it again gives
// the same error.
var ErrLimit = errors.New("expression limit exceeded")

const (
	// maxCost is in CEL's cost units. Measured on a 2-core server with every
	// hostile expression of hostile_test.go: under 40 ms, and 55 ms for the worst
	// (strings joined in nested loops). A filter over 8,000 items costs 24,000.
	maxCost = 150_000
	// interruptEvery is how many steps of a comprehension pass between two
	// looks at the context.
	interruptEvery = 64
	// maxNodes bounds the elements (and tens of bytes of text) of any one
	// value. Values share parts: 40 times [x, x] is small to hold and endless
	// to compare. 1 MiB of JSON holds at most half as many.
	maxNodes = 1 << 20
	// maxDepth bounds the nesting of one value; ingestion allows 64 levels.
	maxDepth = 128
	// maxPairs and maxText bound one call whose work is the product of its
	// arguments' sizes, in comparisons and in bytes: CEL charges a call only
	// after it ran. Each takes less than 10 ms.
	maxPairs = 250_000
	maxText  = 4 << 20
	// maxRange bounds lists.range, which allocates before it is charged.
	maxRange = 10_000
	// maxSource bounds an expression's text, in characters.
	maxSource = 16 << 10
	// maxNesting bounds the nesting of an expression.
	maxNesting = 100
	// maxResult bounds a transform's result in bytes.
	maxResult = 1 << 20
)

// newSizer sizes values for the memory limit and for the price of comparisons.
func newSizer() *types.SizeCalculator {
	return types.NewSizeCalculator(
		types.SizeCalculatorMaxDepth(2*maxDepth),
		types.SizeCalculatorMaxTraversal(maxNodes))
}

// programOptions are the limits of a run. checked are the env's guarded functions.
func programOptions(checked []*functions.Overload) []cel.ProgramOption {
	sizer := newSizer()
	return []cel.ProgramOption{
		cel.Functions(checked...), //nolint:staticcheck // Function() declares new functions; these guard the library's own
		cel.EvalOptions(cel.OptOptimize),
		cel.OptimizeRegex(constantPatterns()...),
		cel.CostLimit(maxCost),
		cel.CostTracking(pricer{sizer}),
		cel.MemoryTracking(types.MemoryTrackerSizeCalculator(sizer)),
		cel.MemoryLimit(maxNodes),
		cel.InterruptCheckFrequency(interruptEvery),
	}
}

// guards names the functions whose work or result is the product of what two of
// their arguments hold, and the largest product allowed.
var guards = map[string]int{
	"distinct": maxPairs, "sets.contains": maxPairs, "sets.equivalent": maxPairs, "sets.intersects": maxPairs,
	"replace": maxText, "join": maxText, "matches": maxMatch,
}

// guard gives the overloads of those functions again, each with a check of its
// arguments in front. A program's own overloads win over the env's.
func guard(fns map[string]*decls.FunctionDecl) ([]*functions.Overload, error) {
	var out []*functions.Overload
	for name, limit := range guards {
		bindings, err := fns[name].Bindings()
		if err != nil {
			return nil, err
		}
		if len(bindings) == 0 {
			return nil, fmt.Errorf("CEL has no function %s", name)
		}
		for _, b := range bindings {
			out = append(out, guarded(name, limit, b))
		}
	}
	return out, nil
}

func guarded(name string, limit int, o *functions.Overload) *functions.Overload {
	g := *o
	if o.Unary != nil {
		g.Unary = func(v ref.Val) ref.Val {
			if err := tooMuch(name, limit, v); err != nil {
				return err
			}
			return o.Unary(v)
		}
	}
	if o.Binary != nil {
		g.Binary = func(a, b ref.Val) ref.Val {
			if err := tooMuch(name, limit, a, b); err != nil {
				return err
			}
			return o.Binary(a, b)
		}
	}
	if o.Function != nil {
		g.Function = func(args ...ref.Val) ref.Val {
			if err := tooMuch(name, limit, args...); err != nil {
				return err
			}
			return o.Function(args...)
		}
	}
	return &g
}

// tooMuch multiplies the two longest arguments; distinct has one and compares it
// with itself.
func tooMuch(name string, limit int, args ...ref.Val) ref.Val {
	if name == "matches" && len(args) == 2 {
		return checkMatch(args[0], args[1]) //nolint:gosec // len was just checked
	}
	m, n := 0, 0
	for _, a := range args {
		if l := length(a); l > m {
			m, n = l, m
		} else {
			n = max(n, l)
		}
	}
	if name == "distinct" {
		n = m
	}
	if m == 0 || n <= limit/m {
		return nil
	}
	return types.WrapErr(fmt.Errorf("%w: %s over %d and %d elements or bytes; give it less", ErrLimit, name, m, n))
}
