package brokertest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"eventserver/infra"
)

// RunWatermill runs Watermill's own suite on one broker, which all of its tests
// share as the handlers of a process do.
//
// Two of its tests do not fit a broker that hands out many unacked messages:
// TestNoAck expects one message a partition, so GuaranteedOrder is off, and
// the order is tested on a broker of its own with one partition.
func RunWatermill(t *testing.T, open func(t *testing.T, partitions int) infra.Broker) {
	features := tests.Features{
		ConsumerGroups: true,
		Persistent:     true,
		ForceShort:     true, // the long form takes minutes and tests no more
	}
	t.Run("Suite", func(t *testing.T) {
		b := open(t, 4)
		tests.TestPubSub(t, features, pairs(b, "test"), func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
			return pairs(b, group)(t)
		})
	})
	t.Run("Order", func(t *testing.T) {
		t.Parallel()
		f := features
		f.GuaranteedOrder, f.GuaranteedOrderWithSingleSubscriber = true, true
		tests.TestPublishSubscribeInOrder(t, tests.TestContext{TestID: tests.NewTestID(), Features: f}, pairs(open(t, 1), "test"))
	})
	t.Run("OldMessages", func(t *testing.T) {
		t.Parallel()
		f := features
		f.NewSubscriberReceivesOldMessages = true
		b := open(t, 4)
		tests.TestNewSubscriberReceivesOldMessages(t, tests.TestContext{TestID: tests.NewTestID(), Features: f},
			func(t *testing.T) (message.Publisher, message.Subscriber) { return pairs(b, watermill.NewUUID())(t) })
	})
}

// pairs makes what Watermill's suite wants to open and close at will: a
// publisher and a subscriber.
func pairs(b infra.Broker, group string) tests.PubSubConstructor {
	return func(*testing.T) (message.Publisher, message.Subscriber) {
		return &closingPublisher{Publisher: b.Publisher(infra.Durable)}, &topicSubscriber{broker: b, group: group}
	}
}

// closingPublisher is a publisher that can be closed alone.
type closingPublisher struct {
	message.Publisher
	closed atomic.Bool
}

func (p *closingPublisher) Publish(topic string, msgs ...*message.Message) error {
	if p.closed.Load() {
		return errors.New("publisher closed")
	}
	return p.Publisher.Publish(topic, msgs...)
}

func (p *closingPublisher) Close() error {
	p.closed.Store(true)
	return nil
}

// topicSubscriber has a group for each topic: the suite runs its tests in
// parallel, and in one group each would make all others rebalance.
type topicSubscriber struct {
	broker infra.Broker
	group  string

	mu   sync.Mutex
	subs []message.Subscriber
}

// SubscribeInitialize creates the topic, which a publish does not.
func (s *topicSubscriber) SubscribeInitialize(topic string) error {
	return s.broker.EnsureTopics(context.Background(), infra.Topic{Name: topic})
}

func (s *topicSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	sub, err := s.broker.Subscriber(s.group+"-"+topic, infra.SubscriberConfig{})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.subs = append(s.subs, sub)
	s.mu.Unlock()
	return sub.Subscribe(ctx, topic)
}

func (s *topicSubscriber) Close() error {
	s.mu.Lock()
	subs := s.subs
	s.subs = nil
	s.mu.Unlock()
	var errs []error
	for _, sub := range subs {
		errs = append(errs, sub.Close())
	}
	return errors.Join(errs...)
}
