package router

import (
	"context"
	"slices"
)

// claims are what is watched of a group's members. Those of a claim share its
// channel, where the broker does, and are watched as one.
type claims struct {
	ends  []<-chan struct{}
	stops []func() bool
}

// watch calls f when the claim of ctx ends. One that has ended is watched anew:
// what waited behind a member of it joins when that was swept already.
func (c *claims) watch(ctx context.Context, f func()) {
	if ends := ctx.Done(); ends != nil && (ctx.Err() != nil || !slices.Contains(c.ends, ends)) {
		c.ends = append(c.ends, ends)
		c.stops = append(c.stops, context.AfterFunc(ctx, f))
	}
}

// release ends the watching.
func (c *claims) release() {
	for _, stop := range c.stops {
		stop()
	}
	*c = claims{}
}
