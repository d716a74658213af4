package attempt

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router/record"
	"eventserver/router/redact"
	"eventserver/router/schedule"
)

// Scheduler decorates a destination's subscriber. It hands a message to Watermill when
// an attempt of it may start now: in the order of its key, with a slot, within the rate,
// past the breaker. What waits is in no handler: it costs its message and some 200 bytes.
// The handler makes one attempt, and its middlewares judge it (verdict.go).
//
// It drives a schedule.Machine. Whoever changes something, by a message, a verdict or the
// one timer, starts under the lock what may start then: the channel has room for all
// that can be in handlers, so that sending never blocks. Logging and settling, which call
// others, come after the lock.
type Scheduler struct {
	sub          infra.Subscriber
	closeTimeout time.Duration
	log          *slog.Logger
	Ahead        *Backpressure // on the transform stage

	returns   bool          // sub takes back messages with a receipt
	givesBack bool          // so do those that come; mu
	excess    chan struct{} // there is some of that
	draining  atomic.Bool   // nothing starts any more
	fed       sync.WaitGroup

	mu      sync.Mutex
	m       *schedule.Machine
	paused  time.Time // by hand; zero: it is not
	claims  map[<-chan struct{}]*claimed
	last    *claimed // of the last message
	out     chan *message.Message
	over    bool // nothing more is read
	shut    bool // out is closed
	timer   *time.Timer
	due     time.Time // of timer; zero: it is not set
	spare   *attempt
	bounded int           // what sub was told last
	rest    chan struct{} // closed when nothing is held, once draining
	atRest  bool
	closing sync.Once
	closed  error
}

// claimed is a claim that messages came with.
type claimed struct {
	schedule.Claim
	done <-chan struct{}
	stop func() bool // ends the watching
}

// NewScheduler makes the scheduler of a destination with its defaults. returns says that
// sub takes back messages with a receipt.
func NewScheduler(sub infra.Subscriber, cfg schedule.Config, returns bool, closeTimeout time.Duration, log *slog.Logger) *Scheduler {
	return &Scheduler{sub: sub, returns: returns, closeTimeout: closeTimeout, log: log, Ahead: &Backpressure{}, m: schedule.New(cfg, time.Now()), claims: map[<-chan struct{}]*claimed{},
		out: make(chan *message.Message, 2*cfg.Concurrency), rest: make(chan struct{}), excess: make(chan struct{}, 1)}
}

var _ infra.Subscriber = (*Scheduler)(nil)

// Subscribe implements message.Subscriber. It is called once.
func (s *Scheduler) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	in, err := s.sub.Subscribe(ctx, topic)
	if err != nil {
		return nil, err
	}
	s.fed.Go(func() {
		s.feed(in)
		s.refuse() // whatever waits can be finished no more
		now := s.lock()
		s.over = true
		s.unlock(now)
	})
	return s.out, nil
}

// feed takes what is read, and gives back what is too much, in one goroutine: so nothing
// is received between what is given back of a key and what follows it.
func (s *Scheduler) feed(in <-chan *message.Message) {
	for {
		select {
		case msg, more := <-in:
			switch {
			case !more:
				return
			case infra.Stale(msg):
				infra.GiveBack(msg)
			default:
				s.arrive(msg)
			}
		case <-s.excess:
			s.giveBack()
		}
	}
}

func (s *Scheduler) giveBack() {
	now := s.lock()
	all := s.m.GiveBack(now)
	s.unlock(now)
	if len(all) == 0 {
		return
	}
	for _, d := range all {
		infra.GiveBack(d.Message)
	}
	now = s.lock()
	s.m.GivenBack(len(all))
	s.unlock(now)
}

// lock and unlock are around every use of the machine.
func (s *Scheduler) lock() (now time.Time) {
	s.mu.Lock()
	return time.Now() // behind the lock: times do not go back
}

// unlock starts what may start, and does after the lock what calls others.
func (s *Scheduler) unlock(now time.Time) {
	for {
		if s.spare == nil {
			s.spare = &attempt{}
		}
		if !s.m.Start(now, &s.spare.Attempt) {
			break
		}
		s.out <- s.spare.begin()
		s.spare = nil
	}
	s.setTimer(now)
	s.bound()
	back, notices := s.m.Back(), s.m.Notices()
	s.rested()
	s.mu.Unlock()
	s.tell(notices)
	if len(back) == 0 {
		return
	}
	for _, d := range back {
		endSpan(d)
		infra.Settle(d.Message, false)
	}
	s.mu.Lock()
	s.m.Released(len(back))
	s.bound() // perhaps nothing waits any more
	s.rested()
	s.mu.Unlock()
}

// bound has no more read than there are slots, while no attempt may start, and what was
// read before given back: what a receiver that is down does not take stays in the broker.
// The caller holds mu.
func (s *Scheduler) bound() {
	if most := s.m.Most(); most != s.bounded {
		s.bounded = most
		s.sub.Bound(most)
	}
	if !s.draining.Load() { // the transform stage drains too, and its run goes back
		s.Ahead.set(s.m.Stopped())
		s.Ahead.more(s.m.Starved())
	}
	if s.givesBack && s.m.Excess() > 0 {
		select {
		case s.excess <- struct{}{}:
		default:
		}
	}
}

// rested tells who waits for it that nothing is held or in a handler any more. The
// caller holds mu.
func (s *Scheduler) rested() {
	if held, _ := s.m.Held(); held == 0 && s.draining.Load() && !s.atRest {
		s.atRest = true
		close(s.rest)
	}
	if s.over && s.m.Busy() == 0 && !s.shut {
		s.shut = true
		close(s.out)
	}
}

// setTimer has tick called when something is due. A timer that is early does no harm. The
// caller holds mu.
func (s *Scheduler) setTimer(now time.Time) {
	due, there := s.m.Due(now)
	if !there || !s.due.IsZero() && !due.Before(s.due) {
		return
	}
	s.due = due
	if s.timer == nil {
		s.timer = time.AfterFunc(due.Sub(now), s.tick)
	} else {
		s.timer.Reset(due.Sub(now))
	}
}

func (s *Scheduler) tick() {
	now := s.lock()
	s.due = time.Time{}
	s.unlock(now)
}

func (s *Scheduler) tell(notices []schedule.Notice) {
	for _, n := range notices {
		switch {
		case n.Hold && n.Opened:
			s.log.Warn("destination refuses one user after the other; it is held", slog.Duration("pause", n.Pause), slog.String("cause", redact.Logged(n.Cause)))
		case n.Hold:
			s.log.Info("destination is no longer held")
		case n.Opened:
			s.log.Warn("destination fails; breaker opened", slog.Duration("pause", n.Pause), slog.String("cause", redact.Logged(n.Cause)))
		default:
			s.log.Info("breaker closed")
		}
	}
}

// arrive takes one message in its place.
func (s *Scheduler) arrive(msg *message.Message) {
	key := record.OrderKey(msg)
	now := s.lock()
	s.givesBack = s.returns && infra.HasReceipt(msg)
	taken := s.m.Arrive(now, key, msg, s.claimOf(msg))
	s.unlock(now)
	if !taken {
		infra.Settle(msg, false)
	}
}

// claimOf is the claim of a message; nil: it does not end. It is watched once for all
// its messages. The caller holds mu.
func (s *Scheduler) claimOf(msg *message.Message) *schedule.Claim {
	ctx := infra.ClaimOf(msg)
	done := ctx.Done()
	if done == nil {
		return nil
	}
	if ctx.Err() != nil { // what came before it has gone back, or does in a moment
		return schedule.Ended()
	}
	if s.last == nil || s.last.done != done {
		c, there := s.claims[done]
		if !there {
			c = &claimed{done: done}
			s.claims[done] = c
			c.stop = context.AfterFunc(ctx, func() { s.endClaim(c) })
		}
		s.last = c
	}
	return &s.last.Claim
}

// endClaim sends back what waits of a claim.
func (s *Scheduler) endClaim(c *claimed) {
	now := s.lock()
	s.m.EndClaim(now, &c.Claim)
	delete(s.claims, c.done)
	if s.last == c {
		s.last = nil
	}
	s.unlock(now)
}

// refuse starts nothing more and sends back what waits.
func (s *Scheduler) refuse() {
	now := s.lock()
	s.draining.Store(true)
	s.m.Drain(now)
	if s.timer != nil {
		s.timer.Stop()
	}
	untaken := s.untaken()
	s.unlock(now)
	for _, a := range untaken {
		s.finish(a, ErrDraining)
	}
}

// untaken takes back what was handed out and Watermill has not taken. The caller holds mu.
func (s *Scheduler) untaken() (all []*attempt) {
	for !s.shut {
		select {
		case msg := <-s.out:
			all = append(all, attemptOf(msg.Context()))
		default:
			return all
		}
	}
	return nil
}

// Drain sends back what waits, lets the handlers finish what they hold, and
// returns when nothing is in flight or ctx ends.
func (s *Scheduler) Drain(ctx context.Context) error {
	s.refuse()
	if err := s.sub.Drain(ctx); err != nil {
		return s.stuck(err)
	}
	select { // a message is settled at sub a moment before it is counted here
	case <-s.rest:
		return nil
	case <-ctx.Done():
		return s.stuck(ctx.Err())
	}
}

// Close implements message.Subscriber. It is called when attempts had their time. Those
// that take no notice of their end are left behind, and named by the error.
func (s *Scheduler) Close() error {
	s.closing.Do(func() { s.closed = s.close() })
	return s.closed
}

// CloseTimeout is how long the attempts may take that a Close has cut.
const CloseTimeout = 5 * time.Second

// ErrDraining is the error of what is left to the next start.
var ErrDraining = errors.New("draining: the event is delivered after the restart")

var errLeftBehind = errors.New("an attempt does not end with its context and is left behind")

func (s *Scheduler) close() error {
	s.refuse()
	closed := make(chan error, 1)
	go func() { closed <- s.sub.Close() }() // ends the claims
	late := time.NewTimer(s.closeTimeout)
	defer late.Stop()
	var err error
	select {
	case <-s.rest:
	case <-late.C:
		err = s.stuck(errLeftBehind)
		now := s.lock()
		s.m.Abandon(now)
		s.unlock(now)
	}
	err = errors.Join(err, <-closed)
	s.fed.Wait()
	now := s.lock()
	for _, c := range s.claims {
		c.stop()
	}
	s.unlock(now)
	return err
}

// Assigned implements infra.Subscriber.
func (s *Scheduler) Assigned() bool { return s.sub.Assigned() }

// Stats implements infra.Subscriber.
func (s *Scheduler) Stats() infra.Stats { return s.sub.Stats() }

// Bound implements infra.Subscriber. The scheduler bounds what it decorates by itself.
func (s *Scheduler) Bound(messages int) { s.sub.Bound(messages) }

// Deferred implements infra.Subscriber.
func (s *Scheduler) Deferred(key string) int { return s.sub.Deferred(key) }
