package router

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/time/rate"

	"eventserver/infra"
	"eventserver/metrics"
)

// RateLimit bounds the attempts a second of one destination. PerSecond 0 is no limit.
type RateLimit struct {
	PerSecond float64
	Burst     int // default: PerSecond, at least 1
}

// gate lets an attempt through when the breaker is closed and a slot and a
// token are free, and tells the breaker how it went. It is taken around each
// attempt, so a key in backoff holds nothing.
type gate struct {
	breaker  *breaker
	slots    chan struct{} // Go serves blocked senders first come, first served
	rate     *rate.Limiter // nil: no limit
	draining <-chan struct{}
	held     atomic.Pointer[hold] // somebody paused the destination; nil: nobody
	waits    *waits               // nil: nobody asks
	health   *health
}

// hold is a pause by hand.
type hold struct {
	note Note
	over chan struct{} // closed by free
}

func newGate(b *breaker, concurrency int, limit RateLimit, draining <-chan struct{}) *gate {
	g := &gate{breaker: b, slots: make(chan struct{}, concurrency), draining: draining, health: &health{log: b.log}}
	if limit.PerSecond > 0 {
		burst := limit.Burst
		if burst <= 0 {
			burst = max(1, int(limit.PerSecond))
		}
		g.rate = rate.NewLimiter(rate.Limit(limit.PerSecond), burst)
	}
	return g
}

func (g *gate) middleware(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) (out []*message.Message, err error) {
		err = g.attempt(msg.Context(), msg.Metadata.Get(infra.MetaKey), 1, func() (err error) {
			out, err = next(msg)
			return err
		})
		return out, err
	}
}

// attempt makes one attempt, of a number of events, when it may be made.
func (g *gate) attempt(ctx context.Context, key string, events int, try func() error) error {
	p := progressOf(ctx)
	through, err := g.admit(ctx, key, p, events)
	if err != nil {
		return err
	}
	g.waits.attempt(p)
	defer func() { <-g.slots }()
	err = try()
	g.report(ctx, key, p, through, err)
	return err
}

// admit returns with a slot and the tokens. It begins anew when somebody paused
// the destination while it waited for a token.
func (g *gate) admit(ctx context.Context, key string, p *progress, events int) (pass, error) {
	for {
		through, err := g.enter(ctx, key, p)
		if err != nil {
			return through, err
		}
		for range events { // the limit counts events, however they travel
			if err = g.token(ctx, p); err != nil {
				break
			}
		}
		if err == nil && g.held.Load() == nil {
			return through, nil
		}
		g.breaker.abandon(through)
		<-g.slots
		if err != nil {
			return through, err
		}
	}
}

// hold stops attempts from now on; free ends that. Those under way go on. The
// pipeline's lock is held.
func (g *gate) hold(n Note) {
	over := make(chan struct{})
	if h := g.held.Load(); h != nil {
		over = h.over // those that wait go on waiting
	}
	g.held.Store(&hold{note: n, over: over})
}

func (g *gate) free() {
	if h := g.held.Swap(nil); h != nil {
		close(h.over)
	}
}

// unheld waits while somebody has paused the destination.
func (g *gate) unheld(ctx context.Context, p *progress) error {
	h := g.held.Load()
	if h == nil {
		return nil
	}
	g.waits.begin(p, metrics.WaitPaused, time.Time{})
	select {
	case <-h.over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-g.draining:
		return errDraining
	}
}

// enter waits for a pause to end, for the breaker and for a slot. Both are asked
// again after the slot: many may have queued for one meanwhile.
func (g *gate) enter(ctx context.Context, key string, p *progress) (through pass, err error) {
	for {
		began := time.Now()
		if err = g.unheld(ctx, p); err == nil {
			through, err = g.breaker.enter(ctx, key, g.draining, func() { g.waits.begin(p, metrics.WaitBreaker, time.Time{}) })
		}
		p.pausedFor(time.Since(began))
		if err != nil {
			return through, err
		}
		if err = g.slot(ctx, p); err != nil {
			g.breaker.abandon(through)
			return through, err
		}
		switch {
		case g.held.Load() != nil:
			g.breaker.abandon(through)
		case through == passProbe || !g.breaker.isOpen():
			return through, nil
		}
		<-g.slots
	}
}

// slot takes one, in the order that they are asked for.
func (g *gate) slot(ctx context.Context, p *progress) error {
	select {
	case g.slots <- struct{}{}: // none is free while others wait
		return nil
	default:
	}
	g.waits.begin(p, metrics.WaitSlot, time.Time{})
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-g.draining:
		return errDraining
	}
}

// pausedFor counts time behind the breaker and pauses, which does not age a delivery that
// has been attempted.
func (p *progress) pausedFor(d time.Duration) {
	if !p.first.IsZero() {
		p.paused += d
	}
}

func (g *gate) token(ctx context.Context, p *progress) error {
	if g.rate == nil {
		return nil
	}
	r := g.rate.Reserve()
	wait := r.Delay()
	if wait == 0 {
		return nil
	}
	g.waits.begin(p, metrics.WaitRateLimit, time.Now().Add(wait))
	err := pause(ctx, g.draining, wait)
	if err != nil {
		r.Cancel()
	}
	return err
}

// throttledAttempts is how many times an event may be told to come later, while
// others succeed, until that spends one of its attempts.
const throttledAttempts = 10

// report tells the breaker. A final answer shows that the destination works.
// An Unavailable after others have succeeded, with no pause between, is this
// event's own fault; one that names a time to come again is so only when it
// repeats, because a receiver that limits its rate refuses whoever comes next.
func (g *gate) report(ctx context.Context, key string, p *progress, through pass, err error) {
	p.blamed = false
	switch class(ctx, err) {
	case metrics.ClassSuccess:
		g.health.succeeded()
		g.breaker.succeeded(through)
	case metrics.ClassPermanent:
		g.health.failedWith(err, "") // the poison queue has a line
		g.breaker.succeeded(through)
	case metrics.ClassCancelled:
		g.breaker.abandon(through)
	case metrics.ClassUnavailable:
		g.health.failedWith(err, saysUnavailable)
		a := askOf(err)
		successes := g.breaker.unavailable(key, through, a, err)
		free := through == passFree
		if p.unavailable > 0 && p.free && free && successes > p.successes {
			p.suspect++
			p.blamed = a.wait == 0 || p.suspect%throttledAttempts == 0
		}
		p.free, p.successes = free, successes
	default:
		g.health.failedWith(err, saysFails)
		g.breaker.failed(key, through, err)
	}
}
