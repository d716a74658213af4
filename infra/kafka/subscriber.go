package kafka

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/infra/progress"
)

// subscriber is a Watermill subscriber in one consumer group.
type subscriber struct {
	broker *Broker
	group  string

	cfg infra.SubscriberConfig

	mu     sync.Mutex
	subs   []*subscription
	closed bool
}

var _ infra.Subscriber = (*subscriber)(nil)

// Subscribe joins the group for one topic. The channel carries many unacked
// messages of a partition, in offset order, and is closed when ctx ends or the
// subscriber is closed.
func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	real := s.broker.topic(topic)
	instance := s.broker.instance(s.group, real)
	cfg := s.broker.cfg
	cfg.ReleaseTimeout = s.broker.releaseTimeout()
	member := cfg.group(instance)
	(&pacedDialer{pace: &s.broker.pace}).on(member)
	cg, err := sarama.NewConsumerGroup(cfg.Brokers, s.group, member)
	if err != nil {
		s.broker.release(instance)
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	sub := &subscription{
		broker: s.broker, cg: cg, group: s.group, topic: topic, real: real, instance: instance,
		log:     s.broker.cfg.Logger.With(slog.String("group", s.group), slog.String("topic", real)),
		out:     make(chan *message.Message),
		claims:  map[*claim]struct{}{},
		flights: infra.NewInFlight(), ended: make(chan struct{}),
		cancel: cancel, receipts: s.cfg.Receipts, resume: s.cfg.Resume,
	}
	s.subs = append(s.subs, sub)
	go sub.run(ctx)
	return sub.out, nil
}

// Assigned implements infra.Subscriber.
func (s *subscriber) Assigned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		if !sub.joined.Load() {
			return false
		}
	}
	return len(s.subs) > 0
}

// Stats implements infra.Subscriber.
func (s *subscriber) Stats() infra.Stats {
	s.mu.Lock()
	subs := s.subs
	s.mu.Unlock()
	var all infra.Stats
	for _, sub := range subs {
		sub.addTo(&all)
	}
	return all
}

// Drain implements infra.Subscriber.
func (s *subscriber) Drain(ctx context.Context) error {
	s.mu.Lock()
	subs := s.subs
	s.mu.Unlock()
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
// ReleaseTimeout, commits and leaves. A static member keeps its place in the
// group for SessionTimeout, so that a restart finds its partitions.
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
	s.broker.mu.Lock()
	delete(s.broker.subs, s)
	s.broker.mu.Unlock()
	return nil
}

// subscription is one membership: one topic, one group, one client.
type subscription struct {
	broker                       *Broker
	cg                           sarama.ConsumerGroup
	group, topic, real, instance string
	log                          *slog.Logger
	out                          chan *message.Message
	cancel                       context.CancelFunc
	joined                       atomic.Bool
	ended                        chan struct{} // run has returned

	receipts bool
	resume   func(context.Context, infra.Resumption) infra.Resumed

	suppressed, metadataFull atomic.Int64
	full                     atomic.Int32 // claims whose window is full

	flights *infra.InFlight

	mu     sync.Mutex
	claims map[*claim]struct{}
}

// run joins the group again and again until ctx ends.
func (s *subscription) run(ctx context.Context) {
	defer close(s.ended)
	defer close(s.out)
	defer s.broker.release(s.instance)
	defer s.cancel()

	errs := make(chan struct{})
	go func() { // ends when the group is closed
		defer close(errs)
		for err := range s.cg.Errors() {
			if ctx.Err() == nil {
				s.log.Warn("consumer group", slog.Any("error", err))
			}
			s.checkFenced(err) // heartbeats say it here, joins by Consume's error
		}
	}()

	const first, most = 250 * time.Millisecond, 5 * time.Second
	wait := first
	for ctx.Err() == nil {
		err := s.cg.Consume(ctx, []string{s.real}, s.handler(ctx))
		if s.joined.Swap(false) {
			wait = first
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		if errors.Is(err, sarama.ErrClosedConsumerGroup) {
			break
		}
		s.checkFenced(err)
		s.log.Warn("cannot consume; trying again", slog.Any("error", err), slog.Duration("wait", wait))
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, most)
	}
	if err := s.cg.Close(); err != nil {
		s.log.Warn("leaving the group", slog.Any("error", err))
	}
	<-errs
}

func (s *subscription) checkFenced(err error) {
	if errors.Is(err, sarama.ErrFencedInstancedId) {
		s.broker.fenced(err)
	}
}

// stalled notes that a partition's window became full, or no longer is. It is
// said once: when the first is full, and when none is any more.
func (s *subscription) stalled(full bool) {
	if full && s.full.Add(1) == 1 {
		s.log.Warn("read window full: nothing more is read until messages in it are done")
	}
	if !full && s.full.Add(-1) == 0 {
		s.log.Info("read window has room again")
	}
}

// own lists the claim for Stats and for commits, until it leaves.
func (s *subscription) own(c *claim) {
	s.mu.Lock()
	s.claims[c] = struct{}{}
	s.mu.Unlock()
}

func (s *subscription) disown(c *claim) {
	s.mu.Lock()
	delete(s.claims, c)
	s.mu.Unlock()
}

func (s *subscription) addTo(all *infra.Stats) {
	all.Suppressed += s.suppressed.Load()
	all.MetadataFull += s.metadataFull.Load()
	s.mu.Lock()
	claims := slices.Collect(maps.Keys(s.claims))
	s.mu.Unlock()
	all.Partitions += len(claims)
	for _, c := range claims {
		c.addTo(all)
	}
}

// groupHandler is what sarama calls for one session.
type groupHandler struct {
	sub     *subscription
	ctx     context.Context // of Subscribe
	commits *committer
	stop    context.CancelFunc // of the commits
}

func (s *subscription) handler(ctx context.Context) sarama.ConsumerGroupHandler {
	return &groupHandler{sub: s, ctx: ctx}
}

func (h *groupHandler) Setup(session sarama.ConsumerGroupSession) error {
	h.commits = newCommitter(h.sub, session)
	ctx, stop := context.WithCancel(context.WithoutCancel(session.Context())) // claims commit after its end
	h.stop = stop
	go h.commits.run(ctx)
	h.sub.joined.Store(true)
	return nil
}

func (h *groupHandler) Cleanup(sarama.ConsumerGroupSession) error {
	h.stop()
	<-h.commits.ended
	return nil
}

// ConsumeClaim owns one partition until the session or the claim ends. Its last
// commit is sarama's.
func (h *groupHandler) ConsumeClaim(session sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	cl := newClaim(h.ctx, h.sub, h.commits, session, c)
	defer context.AfterFunc(h.ctx, cl.end)()
	h.sub.own(cl)
	cl.run(c.Messages())
	cl.end()
	cl.finish()
	h.commits.leave(cl)
	return nil
}

// resumed is the tracker of a claim, with what the last owner had done above its
// committed offset and its note. Without an answer it has neither: those messages
// are delivered again.
func (s *subscription) resumed(ctx context.Context, c sarama.ConsumerGroupClaim) *progress.Tracker {
	anew := progress.NewTracker(progress.State{Next: c.InitialOffset()})
	if c.InitialOffset() < 0 {
		return anew
	}
	var lastErr error
	for range 3 {
		t, err := inContext(ctx, func() (*progress.Tracker, error) {
			resp, err := s.broker.admin.ListConsumerGroupOffsets(s.group, map[string][]int32{c.Topic(): {c.Partition()}})
			s.broker.asked(s.group, err)
			if err != nil {
				return nil, err
			}
			if resp.Err != sarama.ErrNoError {
				return nil, resp.Err
			}
			block := resp.GetBlock(c.Topic(), c.Partition())
			if block == nil || block.Offset != c.InitialOffset() {
				return anew, nil
			}
			state, err := codec.Decode(block.Offset, block.Metadata)
			return progress.NewTracker(state), err
		})
		if err == nil {
			return t
		}
		if ctx.Err() != nil {
			return anew
		}
		lastErr = err
	}
	s.log.Warn("commit metadata not read; finished messages above the committed offset come again",
		slog.Int("partition", int(c.Partition())), slog.Any("error", lastErr))
	return anew
}
