package pubsub

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/infra/progress"
)

// subscriber is a Watermill subscriber in one consumer group.
type subscriber struct {
	b     *broker
	group string
	cfg   infra.SubscriberConfig

	mu          sync.Mutex
	subs        []*subscription
	maxMessages int // messages that each subscription may hold; 0: no bound of its own
	closed      bool
}

var _ infra.Subscriber = (*subscriber)(nil)

// Subscribe joins the group for one topic. The channel carries many unacked
// messages of a partition, in offset order, and is closed when ctx ends or the
// subscriber is closed.
func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if s.isClosed() {
		return nil, ErrClosed
	}
	values := context.WithoutCancel(ctx)
	ctx, cancel := context.WithCancel(ctx)
	sub := &subscription{
		b: s.b, group: s.group, topic: topic, cfg: s.cfg,
		log: s.b.cfg.Logger.With(slog.String("group", s.group), slog.String("topic", topic)),
		out: make(chan *message.Message), values: values, closing: ctx, cancel: cancel,
		flights: infra.NewInFlight(), ended: make(chan struct{}), claims: map[*claim]struct{}{}, account: s.b.budget.open(),
	}
	sub.keeper = newKeeper(sub)
	own := sub.own
	if s.cfg.Runs.On() {
		sub.filter, sub.runner = newRecordFilter(s.cfg.Only), newRunner(sub)
		sub.live = s.b.joinLive(sub)
		own = sub.follow
	}
	var err error
	if sub.member, err = s.b.log.Join(values, s.group, topic, own); err != nil {
		if sub.live != nil {
			sub.live.leave(sub)
		}
		cancel()
		sub.account.close()
		return nil, missing(topic, err)
	}
	s.mu.Lock()
	closed := s.closed
	s.subs = append(s.subs, sub)
	sub.account.bound(s.maxMessages)
	s.mu.Unlock()
	if closed { // meanwhile
		cancel()
	}
	context.AfterFunc(ctx, sub.end)
	return sub.out, nil
}

func (s *subscriber) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *subscriber) subscriptions() []*subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subs // is only appended to
}

// Assigned implements infra.Subscriber.
func (s *subscriber) Assigned() bool {
	subs := s.subscriptions()
	return len(subs) > 0 && !s.isClosed() && !slices.ContainsFunc(subs, func(sub *subscription) bool { return !sub.member.Assigned() })
}

// Stats implements infra.Subscriber.
func (s *subscriber) Stats() (all infra.Stats) {
	for _, sub := range s.subscriptions() {
		sub.addTo(&all)
	}
	return all
}

// Deferred implements infra.Subscriber.
func (s *subscriber) Deferred(key string) (n int) {
	for _, sub := range s.subscriptions() {
		for _, c := range sub.owned() {
			n += c.deferredOf(key)
		}
	}
	return n
}

// Bound implements infra.Subscriber.
func (s *subscriber) Bound(messages int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxMessages = messages
	for _, sub := range s.subs {
		sub.account.bound(messages)
	}
}

// Drain implements infra.Subscriber.
func (s *subscriber) Drain(ctx context.Context) error {
	subs := s.subscriptions()
	for _, sub := range subs {
		sub.flights.Drain()
	}
	for _, sub := range subs {
		if err := sub.flights.Wait(ctx, sub.ended); err != nil {
			return err
		}
	}
	return nil
}

// Close cancels the messages in flight, waits for their handlers within
// ReleaseTimeout, keeps what is done and leaves the group.
func (s *subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	subs := s.subs
	s.mu.Unlock()
	for _, sub := range subs {
		sub.cancel()
	}
	for _, sub := range subs {
		<-sub.ended
	}
	s.b.mu.Lock()
	delete(s.b.subs, s)
	s.b.mu.Unlock()
	return nil
}

// subscription is one membership: one topic, one group.
type subscription struct {
	b            *broker
	group, topic string
	cfg          infra.SubscriberConfig
	log          *slog.Logger
	out          chan *message.Message
	values       context.Context // of Subscribe, without its end
	closing      context.Context // ends when the subscription does
	cancel       context.CancelFunc
	member       infra.Membership
	keeper       *keeper
	runner       *runner // nil: messages come singly
	live         *live   // of topic, with runner
	filter       recordFilter
	flights      *infra.InFlight
	account      *account      // of its claims
	ended        chan struct{} // no claim is left

	suppressed, metadataFull atomic.Int64
	full                     atomic.Int32 // claims whose window is full

	mu     sync.Mutex
	claims map[*claim]struct{}
}

// end leaves the group when the subscription's context has ended.
func (s *subscription) end() {
	if err := s.member.Close(); err != nil {
		s.log.Warn("leaving the group", slog.Any("error", err))
	}
	if s.runner != nil {
		s.runner.close()
		s.live.leave(s)
	}
	s.account.close()
	close(s.out)
	close(s.ended)
}

// own runs one ownership of a partition. It starts a new claim behind lost records when
// their keys are unknown.
func (s *subscription) own(of infra.Claim) {
	state := s.decode(of)
	for restart := true; restart; {
		c := newClaim(s, of, state)
		s.mu.Lock()
		s.claims[c] = struct{}{}
		s.mu.Unlock()
		c.run()
		c.cancel()
		c.finish()
		s.mu.Lock()
		delete(s.claims, c)
		s.mu.Unlock()
		s.keeper.keepLast(c)
		restart = c.restart && of.Context.Err() == nil && s.closing.Err() == nil
		state = c.state()
	}
}

func (s *subscription) decode(of infra.Claim) progress.State {
	state, err := s.b.codec.Decode(of.Position.Next, of.Position.Text)
	if err != nil {
		s.log.Error("cannot read the progress; finished messages above the position are repeated",
			slog.Int("partition", int(of.Partition)), slog.Int64("position", of.Position.Next), slog.Any("error", err))
	}
	return state
}

// follow is own for runs. The claim has a goroutine while it reads for itself, and while
// it ends.
func (s *subscription) follow(of infra.Claim) {
	giveUp := of.Hold()
	c := newClaim(s, of, s.decode(of))
	c.follower = newFollower(c, s.live.joinPart(of.Partition))
	s.mu.Lock()
	s.claims[c] = struct{}{}
	s.mu.Unlock()
	c.follower.attach()
	lost := context.AfterFunc(of.Context, c.cancel)
	closes := context.AfterFunc(s.closing, c.cancel)
	context.AfterFunc(c.ctx, func() {
		lost()
		closes()
		s.runner.newGeneration()
		c.follower.stop()
		c.finish()
		s.mu.Lock()
		delete(s.claims, c)
		s.mu.Unlock()
		s.keeper.keepLast(c)
		giveUp()
	})
}

func (s *subscription) owned() []*claim {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.claims))
}

func (s *subscription) addTo(all *infra.Stats) {
	all.Suppressed += s.suppressed.Load()
	all.MetadataFull += s.metadataFull.Load()
	claims := s.owned()
	all.Partitions += len(claims)
	for _, c := range claims {
		c.addTo(all)
	}
}

// stalled records that a partition's window became full, or is no longer full. It logs
// when the first is full, and when none is.
func (s *subscription) stalled(full bool) {
	if full && s.full.Add(1) == 1 {
		s.log.Warn("read window full: nothing more is read until messages in it are done")
	}
	if !full && s.full.Add(-1) == 0 {
		s.log.Info("read window has room again")
	}
}

// damaged reports records that the group does not get.
func (s *subscription) damaged(d *infra.DamageError) {
	s.log.Error("records cannot be read and are passed over", slog.Int("partition", int(d.Partition)),
		slog.Int64("from", d.Offsets.From), slog.Int64("to", d.Offsets.To), slog.String("file", d.File), slog.Any("error", d.Err))
	s.b.cfg.Damaged(s.group, d)
}
