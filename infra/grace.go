package infra

import "context"

// A message's context ends with its claim, and waiting messages go back at once. A
// running attempt has some time more, the grace: its receiver may have the event already,
// and the next owner waits for this one anyway. Only the subscriber knows how long it is.

type graceKey struct{}

// WithGrace adds to a claim's context the later one, which running attempts use.
func WithGrace(ctx, later context.Context) context.Context {
	return context.WithValue(ctx, graceKey{}, later)
}

// Grace returns the context that ends when attempts of ctx's claim must end. Without a
// grace it is ctx.
func Grace(ctx context.Context) context.Context {
	if later, ok := ctx.Value(graceKey{}).(context.Context); ok {
		return later
	}
	return ctx
}

// Graced is the context of a new attempt: the values of ctx with the end of Grace. When
// ctx has ended it is ctx, because there is no running attempt.
func Graced(ctx context.Context) context.Context {
	if later, ok := ctx.Value(graceKey{}).(context.Context); ok && ctx.Err() == nil {
		return graced{later, ctx}
	}
	return ctx
}

// graced ends with its first context and has the values of both. Those of the first come
// first, because the context package finds the end by them.
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
