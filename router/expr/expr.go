package expr

import (
	"context"
	"errors"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"eventserver/destinations"
)

// Filter decides whether an event goes to a destination. It is safe for
// concurrent use.
type Filter struct{ p *program }

// CompileFilter compiles an expression that gives true or false. The error has
// one line for each fault, "line:column: cause".
func CompileFilter(src string) (*Filter, error) {
	p, err := compile(src)
	if err != nil {
		return nil, err
	}
	if !p.out.IsExactType(cel.BoolType) && !p.out.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("1:1: a filter gives true or false, this one gives %s; compare it with something", p.out)
	}
	return &Filter{p}, nil
}

// Match tells whether the event passes. An error is one of the expression on
// this event (an absent member, ErrLimit) and comes again with every run; or it
// wraps the error of ctx, and says nothing about the event.
func (f *Filter) Match(ctx context.Context, e destinations.Event) (bool, error) {
	v, err := f.p.run(ctx, &e)
	if err != nil {
		return false, fmt.Errorf("filter: %w", err)
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, fmt.Errorf("filter: gives %s, not true or false; compare it with something", v.Type().TypeName())
	}
	return bool(b), nil
}

// Transform makes what a destination receives of an event. It is safe for
// concurrent use.
type Transform struct{ p *program }

// CompileTransform compiles an expression whose result can be written as JSON.
// The error has one line for each fault, "line:column: cause".
func CompileTransform(src string) (*Transform, error) {
	p, err := compile(src)
	if err != nil {
		return nil, err
	}
	if p.out.IsExactType(eventType) || p.out.Kind() == types.TypeKind {
		return nil, errors.New("1:1: " + errUnwritable.Error())
	}
	return &Transform{p}, nil
}

// Apply gives the result as JSON, at most 1 MiB of it. Errors are those of
// Match, and a result that JSON cannot hold (NaN, a type).
func (t *Transform) Apply(ctx context.Context, e destinations.Event) ([]byte, error) {
	v, err := t.p.run(ctx, &e)
	if err != nil {
		return nil, fmt.Errorf("transform: %w", err)
	}
	out, err := encode(v)
	if err != nil {
		return nil, fmt.Errorf("transform: %w", err)
	}
	return out, nil
}

// located is err with the line and the column of the part that failed, as the
// faults of compiling have them: whoever finds it in a poison queue has not seen
// the expression.
func (p *program) located(err error) error {
	var failed *types.Err
	if !errors.As(err, &failed) || failed.NodeID() == 0 {
		return err
	}
	at := p.source.GetStartLocation(failed.NodeID())
	if at.Line() < 1 {
		return err
	}
	return fmt.Errorf("%d:%d: %w", at.Line(), at.Column()+1, err)
}

func (p *program) run(ctx context.Context, e *destinations.Event) (ref.Val, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	v, _, err := p.prg.ContextEval(ctx, &view{event: e})
	var stopped interpreter.EvalCancelledError
	switch {
	case err == nil:
		return v, nil
	case errors.As(err, &stopped) && stopped.Cause == interpreter.CostLimitExceeded:
		return nil, fmt.Errorf("%w: it costs too much; use fewer or smaller loops", ErrLimit)
	case errors.As(err, &stopped) && stopped.Cause == interpreter.MemoryLimitExceeded:
		return nil, fmt.Errorf("%w: a value grows too large", ErrLimit)
	case errors.Is(err, interpreter.InterruptError{}) && ctx.Err() != nil:
		return nil, fmt.Errorf("interrupted: %w", ctx.Err())
	}
	return nil, p.located(err)
}
