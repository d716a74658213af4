package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	wmkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// stock is watermill-kafka's own subscriber: one message of a partition in
// flight. It is the baseline that ours is measured against, and what
// `ordering: partition` asks for. Around it stands what a server needs to stop
// without cutting work and to say whether it is ready. Its commits carry no note:
// it never calls SubscriberConfig.Resume.
type stock struct {
	*wmkafka.Subscriber
	broker  *Broker
	cfg     infra.SubscriberConfig
	joined  atomic.Int32 // sessions begun
	claimed atomic.Int32 // partitions it reads
	flights *infra.InFlight
}

var _ infra.Subscriber = (*stock)(nil)

// stockCommitInterval is what a kill costs in duplicates.
const stockCommitInterval = 100 * time.Millisecond

func (b *Broker) newStock(group, instance string, cfg infra.SubscriberConfig) (infra.Subscriber, error) {
	s := &stock{broker: b, cfg: cfg, flights: infra.NewInFlight()}
	member := b.cfg.group(instance)
	member.Consumer.Offsets.AutoCommit.Interval = stockCommitInterval
	sub, err := wmkafka.NewSubscriber(wmkafka.SubscriberConfig{
		Brokers: b.cfg.Brokers, Unmarshaler: stockUnmarshaler{b}, ConsumerGroup: group,
		OverwriteSaramaConfig: member, NackResendSleep: b.cfg.NackDelay, Tracer: sessions{s},
	}, stockLogger{b, b.cfg.Logger.With(slog.String("group", group))})
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	s.Subscriber = sub
	return s, nil
}

// Subscribe implements message.Subscriber.
func (s *stock) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	in, err := s.Subscriber.Subscribe(ctx, s.broker.topic(topic))
	if err != nil {
		return nil, err
	}
	out := make(chan *message.Message)
	go s.pass(in, out)
	return out, nil
}

// pass hands messages on until in ends, or nothing more once draining.
func (s *stock) pass(in <-chan *message.Message, out chan<- *message.Message) {
	defer close(out)
	for msg := range in {
		if !s.flights.Begin() {
			continue // unacked: the next owner has it
		}
		ctx := msg.Context() // from now on it is the handlers' to change
		select {
		case out <- s.handed(msg):
			go s.await(ctx, msg)
		case <-s.flights.Draining():
			s.flights.End()
		case <-ctx.Done():
			s.flights.End()
		}
	}
}

// handed is what the consumer gets of a message: with receipts another one, because
// watermill-kafka watches the message itself.
func (s *stock) handed(msg *message.Message) *message.Message {
	if !s.cfg.Receipts {
		return msg
	}
	out := message.NewMessage(msg.UUID, msg.Payload)
	out.Metadata = msg.Metadata
	out.SetContext(infra.WithReceipt(msg.Context(), func(acked bool) {
		if acked {
			msg.Ack()
		} else {
			msg.Nack()
		}
	}))
	return out
}

func (s *stock) await(ctx context.Context, msg *message.Message) {
	select {
	case <-msg.Acked():
	case <-msg.Nacked():
	case <-ctx.Done():
	}
	s.flights.End()
}

// Drain implements infra.Subscriber.
func (s *stock) Drain(ctx context.Context) error {
	s.flights.Drain()
	return s.flights.Wait(ctx, nil)
}

// Assigned implements infra.Subscriber.
func (s *stock) Assigned() bool { return s.joined.Load() > 0 }

// Stats implements infra.Subscriber: partitions are all that can be seen of it.
func (s *stock) Stats() infra.Stats { return infra.Stats{Partitions: int(s.claimed.Load())} }

// Deferred implements infra.Subscriber: it reads past nothing.
func (s *stock) Deferred(string) int { return 0 }

type stockUnmarshaler struct{ b *Broker }

// Unmarshal implements watermill-kafka's Unmarshaler.
func (u stockUnmarshaler) Unmarshal(rec *sarama.ConsumerMessage) (*message.Message, error) {
	return marshaler{}.unmarshal(u.b.logical(rec.Topic), rec), nil
}

// sessions is the hook by which the subscriber's group sessions are seen.
type sessions struct{ s *stock }

func (sessions) WrapConsumer(c sarama.Consumer) sarama.Consumer { return c }
func (sessions) WrapPartitionConsumer(c sarama.PartitionConsumer) sarama.PartitionConsumer {
	return c
}
func (sessions) WrapSyncProducer(_ *sarama.Config, p sarama.SyncProducer) sarama.SyncProducer {
	return p
}
func (w sessions) WrapConsumerGroupHandler(h sarama.ConsumerGroupHandler) sarama.ConsumerGroupHandler {
	return sessionHandler{h, w.s}
}

type sessionHandler struct {
	sarama.ConsumerGroupHandler
	s *stock
}

func (h sessionHandler) Setup(session sarama.ConsumerGroupSession) error {
	h.s.joined.Add(1)
	return h.ConsumerGroupHandler.Setup(session)
}

func (h sessionHandler) ConsumeClaim(session sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	h.s.claimed.Add(1)
	defer h.s.claimed.Add(-1)
	return h.ConsumerGroupHandler.ConsumeClaim(session, c)
}

// stockLogger passes on what the subscriber says of its errors, and stops a
// process whose place in the group another one took.
type stockLogger struct {
	b   *Broker
	log *slog.Logger
}

func (l stockLogger) Error(msg string, err error, _ watermill.LogFields) {
	if errors.Is(err, sarama.ErrFencedInstancedId) {
		l.b.fenced(err)
	}
	l.log.Warn("watermill-kafka subscriber", slog.String("message", msg), slog.Any("error", err))
}
func (stockLogger) Info(string, watermill.LogFields)                   {}
func (stockLogger) Debug(string, watermill.LogFields)                  {}
func (stockLogger) Trace(string, watermill.LogFields)                  {}
func (l stockLogger) With(watermill.LogFields) watermill.LoggerAdapter { return l }
