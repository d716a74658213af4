package kafka

import (
	"context"
	"fmt"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	wmkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
)

// stock is watermill-kafka's own subscriber: one message of a partition in
// flight. It is the baseline that ours is measured against, and what
// `ordering: partition` asks for.
type stock struct {
	*wmkafka.Subscriber
	broker *Broker
}

func (b *Broker) newStock(group, instance string) (message.Subscriber, error) {
	sub, err := wmkafka.NewSubscriber(wmkafka.SubscriberConfig{
		Brokers: b.cfg.Brokers, Unmarshaler: stockUnmarshaler{b}, ConsumerGroup: group,
		OverwriteSaramaConfig: b.cfg.group(instance), NackResendSleep: b.cfg.NackDelay,
	}, watermill.NopLogger{})
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return &stock{Subscriber: sub, broker: b}, nil
}

// Subscribe implements message.Subscriber.
func (s *stock) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	return s.Subscriber.Subscribe(ctx, s.broker.topic(topic))
}

type stockUnmarshaler struct{ b *Broker }

// Unmarshal implements watermill-kafka's Unmarshaler.
func (u stockUnmarshaler) Unmarshal(rec *sarama.ConsumerMessage) (*message.Message, error) {
	return marshaler{}.unmarshal(u.b.logical(rec.Topic), rec)
}
