package expr

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/ext"
)

type environment struct {
	env     *cel.Env
	options []cel.ProgramOption
}

// shared is built at the first compile and never changes: an Env is safe for
// concurrent use, and takes milliseconds to build.
var shared = sync.OnceValues(newEnvironment)

func newEnvironment() (*environment, error) {
	reg, err := newRegistry()
	if err != nil {
		return nil, err
	}
	env, err := cel.NewEnv(
		cel.CustomTypeProvider(reg),
		cel.CustomTypeAdapter(reg),
		cel.Variable(variable, eventType),
		cel.OptionalTypes(),
		cel.CrossTypeNumericComparisons(true), // JSON does not tell 1 from 1.0
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(maxSource),
		cel.ParserRecursionLimit(maxNesting),
		cel.ExpressionNestingDepthLimit(maxNesting),
		ext.Strings(), ext.Encoders(), ext.Math(), ext.Sets(), ext.Bindings(),
		ext.Lists(ext.ListsMaxRangeSize(maxRange)),
		ext.TwoVarComprehensions(),
		rangeFunction(),
	)
	if err != nil {
		return nil, err
	}
	p, err := newPlanner(env)
	if err != nil {
		return nil, err
	}
	return &environment{env: env, options: []cel.ProgramOption{
		cel.CustomDecoratorV2(p.decorate),
		cel.CostLimit(maxSteps),
		cel.InterruptCheckFrequency(interruptEvery),
	}}, nil
}

// program is a compiled expression, safe for concurrent use.
type program struct {
	prg    cel.Program
	out    *cel.Type
	ast    *ast.AST
	limits limits
}

func compile(src string, eventBytes int) (*program, error) {
	if strings.TrimSpace(src) == "" {
		return nil, errors.New("1:1: the expression is empty; leave it out or write one, such as event.type == 'order.placed'")
	}
	e, err := shared()
	if err != nil {
		return nil, fmt.Errorf("build the CEL environment: %w", err)
	}
	checked, iss := e.env.Compile(src)
	if err := issues(iss); err != nil {
		return nil, err
	}
	p := &program{out: checked.OutputType(), ast: checked.NativeRep(), limits: limitsFor(eventBytes)}
	if err := e.judge(p.ast); err != nil {
		return nil, err
	}
	if eventBytes > MaxEventBytes && readsBody(p.ast) {
		return nil, fmt.Errorf("1:1: it reads the body of events, and http.max_event_bytes is %d bytes: an expression reads events of up to %d bytes; lower http.max_event_bytes, or ask only id, type, source, key and the times",
			eventBytes, MaxEventBytes)
	}
	guardLoops(p.ast)
	if p.prg, err = e.env.Program(checked, e.options...); err != nil {
		return nil, fmt.Errorf("1:1: %w", err)
	}
	return p, nil
}

// issues writes CEL's faults as "line:column: cause", one a line, in the order
// of the text. Both count from 1.
func issues(iss *cel.Issues) error {
	if iss == nil || iss.Err() == nil {
		return nil
	}
	faults := iss.Errors()
	sort.SliceStable(faults, func(i, j int) bool {
		a, b := faults[i].Location, faults[j].Location
		if a.Line() != b.Line() {
			return a.Line() < b.Line()
		}
		return a.Column() < b.Column()
	})
	var lines []string
	seen := map[string]bool{}
	for _, f := range faults {
		msg := strings.Join(strings.Fields(f.Message), " ")
		words, syntax := inWords(msg)
		line := fmt.Sprintf("%d:%d: %s", max(f.Location.Line(), 1), max(f.Location.Column(), 0)+1, words)
		if !seen[line] {
			seen[line] = true
			lines = append(lines, line)
		}
		if syntax {
			break // what follows was read wrongly
		}
	}
	return errors.New(strings.Join(lines, "\n"))
}
