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
// one line for each fault, "line:column: cause". eventBytes is
// http.max_event_bytes, which the limits of a run follow; 0 is its default.
func CompileFilter(src string, eventBytes int) (*Filter, error) {
	p, err := compile(src, eventBytes)
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
	v, err := f.p.run(ctx, &e, true, nil)
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
func CompileTransform(src string, eventBytes int) (*Transform, error) {
	p, err := compile(src, eventBytes)
	if err != nil {
		return nil, err
	}
	if p.out.IsExactType(eventType) || p.out.Kind() == types.TypeKind {
		return nil, errors.New("1:1: " + errUnwritable.Error())
	}
	return &Transform{p}, nil
}

// Apply gives the result as JSON, at most http.max_event_bytes and 1 MiB of it.
// Errors are those of Match, and a result that JSON cannot hold (NaN, a type).
func (t *Transform) Apply(ctx context.Context, e destinations.Event) ([]byte, error) {
	var out []byte
	_, err := t.p.run(ctx, &e, false, func(m *meter, v ref.Val) (err error) {
		out, err = m.encode(v)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("transform: %w", err)
	}
	return out, nil
}

// run evaluates the expression, and calls then with the value within the same
// limits.
func (p *program) run(ctx context.Context, e *destinations.Event, filter bool, then func(*meter, ref.Val) error) (v ref.Val, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	run := &view{event: e, meter: meter{limits: p.limits}}
	defer func() {
		if r := recover(); r != nil { // of then: CEL has its own
			e, ok := r.(interpreter.EvalCancelledError)
			if !ok {
				panic(r)
			}
			err = run.ended(e)
		}
	}()
	v, _, err = p.prg.ContextEval(ctx, run)
	switch {
	case err == nil && then != nil:
		return v, then(&run.meter, v)
	case err == nil:
		return v, nil
	case errors.Is(err, interpreter.InterruptError{}) && ctx.Err() != nil:
		return nil, fmt.Errorf("interrupted: %w", ctx.Err())
	}
	if ended := run.ended(err); ended != nil {
		return nil, ended
	}
	return nil, p.located(err, filter)
}

// ended is the error of a run that was ended by a limit or by must, and nil for
// another.
func (v *view) ended(err error) error {
	if v.meter.err != nil {
		return v.meter.err
	}
	return stopped(err)
}
