package memory

import (
	"context"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// subscriber is a Watermill subscriber in one consumer group.
type subscriber struct {
	broker *Broker
	group  string
	cfg    infra.SubscriberConfig

	mu     sync.Mutex
	subs   []*subscription
	closed bool
}

var _ infra.Subscriber = (*subscriber)(nil)

// Subscribe joins the group for one topic. The channel carries many unacked
// messages of a partition and is closed when ctx ends or at Close.
func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	b := s.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	t, err := b.topic(topic)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	sub := &subscription{
		group: t.group(b, s.group), ctx: ctx, cancel: cancel, out: make(chan *message.Message), receipts: s.cfg.Receipts,
		flights: infra.NewInFlight(), ended: make(chan struct{}),
	}
	s.subs = append(s.subs, sub)
	sub.group.join(sub)
	go sub.run()
	return sub.out, nil
}

// Assigned implements infra.Subscriber: joining takes no time here.
func (s *subscriber) Assigned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.subs) > 0 && !s.closed
}

// Stats implements infra.Subscriber.
func (s *subscriber) Stats() (all infra.Stats) {
	s.claims(func(c *claim) {
		all.Partitions++
		c.addTo(&all)
	})
	return all
}

// Deferred implements infra.Subscriber.
func (s *subscriber) Deferred(key string) (n int) {
	s.claims(func(c *claim) { n += c.deferredOf(key) })
	return n
}

// claims calls f for each partition that is owned now, with Broker.mu held.
func (s *subscriber) claims(f func(*claim)) {
	s.mu.Lock()
	subs := s.subs
	s.mu.Unlock()
	s.broker.mu.Lock()
	defer s.broker.mu.Unlock()
	for _, sub := range subs {
		for _, cur := range sub.group.cursors {
			if cur.claim != nil && cur.claim.sub == sub {
				f(cur.claim)
			}
		}
	}
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
// ReleaseTimeout and gives the partitions to the rest of the group.
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

// subscription is one membership: one topic, one group.
type subscription struct {
	group   *group
	ctx     context.Context
	cancel  context.CancelFunc
	out     chan *message.Message
	claims  sync.WaitGroup
	ended   chan struct{}
	flights *infra.InFlight

	receipts bool
}

// run ends the membership when its context ends.
func (s *subscription) run() {
	<-s.ctx.Done()
	s.group.broker.mu.Lock()
	s.group.leave(s) // from here on no claim starts
	s.group.broker.mu.Unlock()
	s.claims.Wait()
	close(s.out)
	close(s.ended)
}
