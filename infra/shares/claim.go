package shares

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"eventserver/infra"
)

// Member is an infra.Membership.
type Member struct {
	all     *Shares
	key     key
	share   *share
	own     func(infra.Claim)
	running sync.WaitGroup

	leaving bool // all.mu
	joined  bool // all.mu
	once    sync.Once
}

var _ infra.Membership = (*Member)(nil)

// Assigned implements infra.Membership.
func (one *Member) Assigned() bool {
	one.all.mu.Lock()
	defer one.all.mu.Unlock()
	return one.joined
}

// Close implements infra.Membership.
func (one *Member) Close() error {
	s, of := one.all, one.share
	s.mu.Lock()
	one.leaving = true
	for _, c := range of.claims {
		if c != nil && c.member == one {
			c.end(nil)
		}
	}
	s.mu.Unlock()
	one.running.Wait()
	one.once.Do(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		of.members = slices.DeleteFunc(of.members, func(o *Member) bool { return o == one })
		if len(of.members) == 0 {
			delete(s.shares, one.key)
		}
	})
	return nil
}

// Claim is the ownership of a partition by a member.
type Claim struct {
	Context      context.Context // as infra.Claim has it
	Group, Topic string
	Partition    int32

	member   *Member
	cancel   context.CancelCauseFunc
	lost     atomic.Bool
	running  bool // its own function runs; Shares.mu
	released chan struct{}
}

// Lost reports whether another process may have the partition. The context may have ended
// earlier, with another cause.
func (c *Claim) Lost() bool { return c.lost.Load() }

// Released is closed when the partition has been given up.
func (c *Claim) Released() <-chan struct{} { return c.released }

// give starts a claim; Shares.mu is held.
func (one *Member) give(n int32) {
	c := &Claim{Group: one.key.group, Topic: one.key.topic, Partition: n, member: one, released: make(chan struct{})}
	c.Context, c.cancel = context.WithCancelCause(context.Background())
	one.share.claims[n] = c
	one.running.Add(1)
	go c.run()
}

func (c *Claim) run() {
	s := c.member.all
	at, taken := s.cfg.TakeUp(c)
	if !taken {
		c.giveBack()
		return
	}
	giveUp := func() {
		if s.cfg.GiveUp != nil {
			s.cfg.GiveUp(c)
		}
		c.giveBack()
	}
	s.mu.Lock()
	c.running = !c.ended()
	running := c.running
	s.mu.Unlock()
	if !running {
		giveUp()
		return
	}
	infra.Claim{Context: c.Context, Topic: c.Topic, Partition: c.Partition, Position: at}.Give(c.member.own, giveUp)
}

// end asks the partition back. cause is not nil when another process may have it.
// Shares.mu is held.
func (c *Claim) end(cause error) {
	if cause != nil {
		c.lost.Store(true)
	}
	c.cancel(cause)
}

func (c *Claim) ended() bool { return c.Context.Err() != nil }

// giveBack frees the partition.
func (c *Claim) giveBack() {
	one, s := c.member, c.member.all
	c.cancel(nil)
	s.mu.Lock()
	close(c.released)
	one.share.claims[c.Partition] = nil
	s.assign(one.key, one.share)
	s.mu.Unlock()
	one.running.Done()
}
