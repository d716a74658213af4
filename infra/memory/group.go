package memory

import (
	"context"
	"slices"
)

// group is the state of one consumer group on one topic. Broker.mu guards it.
type group struct {
	broker  *Broker
	topic   *topic
	members []*subscription // in the order they joined
	cursors []*cursor       // one a partition
}

// cursor is what a group has done of a partition. It outlives its owners, so
// that nothing acked comes again.
type cursor struct {
	low   int64              // everything below is done
	done  map[int64]struct{} // done at or above low
	claim *claim             // the owner, also while it lets go
}

// settle marks offset as done and moves the low watermark.
func (c *cursor) settle(offset int64) {
	c.done[offset] = struct{}{}
	for {
		if _, ok := c.done[c.low]; !ok {
			return
		}
		delete(c.done, c.low)
		c.low++
	}
}

// group returns the group called name; a new one starts at the oldest kept.
func (t *topic) group(b *Broker, name string) *group {
	g, ok := t.groups[name]
	if !ok {
		g = &group{broker: b, topic: t, cursors: make([]*cursor, len(t.parts))}
		for i, p := range t.parts {
			g.cursors[i] = &cursor{low: p.base, done: map[int64]struct{}{}}
		}
		t.groups[name] = g
	}
	return g
}

func (g *group) join(s *subscription) {
	g.members = append(g.members, s)
	g.assign()
}

func (g *group) leave(s *subscription) {
	g.members = slices.DeleteFunc(g.members, func(m *subscription) bool { return m == s })
	g.assign()
}

// owner is the member that partition n belongs to, nil without members.
func (g *group) owner(n int) *subscription {
	if len(g.members) == 0 {
		return nil
	}
	return g.members[n%len(g.members)]
}

// assign makes owners what they should be. A partition in other hands is asked
// back; its claim calls assign again when it has let go.
func (g *group) assign() {
	for n, c := range g.cursors {
		want := g.owner(n)
		switch {
		case c.claim != nil && c.claim.sub != want:
			c.claim.cancel()
		case c.claim == nil && want != nil:
			ctx, cancel := context.WithCancel(want.ctx)
			c.claim = &claim{
				sub: want, group: g, n: n, ctx: ctx, cancel: cancel, next: c.low,
				woken: make(chan struct{}, 1), gone: make(chan struct{}),
				unacked: map[int64]struct{}{}, keys: map[string]*keyState{},
			}
			want.claims.Go(c.claim.run)
		}
	}
}

// released takes back a partition from a claim that has ended.
func (g *group) released(n int) {
	g.broker.mu.Lock()
	defer g.broker.mu.Unlock()
	g.cursors[n].claim = nil
	g.assign()
}

// wake tells every owner to look at its log.
func (g *group) wake() {
	for _, c := range g.cursors {
		if c.claim != nil {
			c.claim.wake()
		}
	}
}
