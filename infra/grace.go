package infra

import "context"

// A message's context ends with its claim: what waits goes back at once. An
// attempt that is under way then may have some time more, because its receiver
// may have the event already and the next owner waits for us anyway. How long
// that is, and whether there is any, only the subscriber knows.

type graceKey struct{}

// WithGrace puts into a claim's context the later one that attempts go on under.
func WithGrace(ctx, later context.Context) context.Context {
	return context.WithValue(ctx, graceKey{}, later)
}

// Grace returns the context that ends when attempts of ctx's claim must: ctx
// itself where the subscriber gave no other.
func Grace(ctx context.Context) context.Context {
	if later, ok := ctx.Value(graceKey{}).(context.Context); ok {
		return later
	}
	return ctx
}

// Graced is for an attempt that begins: ctx with its values, but with the end of
// Grace. When ctx has ended already there is no attempt to finish: it is ctx.
func Graced(ctx context.Context) context.Context {
	if later, ok := ctx.Value(graceKey{}).(context.Context); ok && ctx.Err() == nil {
		return graced{later, ctx}
	}
	return ctx
}

// graced ends with its first context and has the values of both, those of the
// first before: by them the context package finds what to wait for.
type graced struct {
	context.Context

	values context.Context
}

func (g graced) Value(key any) any {
	if v := g.Context.Value(key); v != nil {
		return v
	}
	return g.values.Value(key)
}
