package stock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	wmkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/infra/kafka"
)

// broker is a broker whose subscribers are watermill-kafka's.
type broker struct {
	infra.Broker
	cfg kafka.Config

	mu   sync.Mutex
	open map[string]int // subscribers by group
}

// New replaces the subscriber of a broker on Kafka by that of watermill-kafka.
func New(b infra.Broker, cfg kafka.Config) (infra.Broker, error) {
	if s := cfg.SASL; s != nil && s.Mechanism != kafka.Plain && s.Mechanism != kafka.ScramSHA256 && s.Mechanism != kafka.ScramSHA512 {
		return nil, fmt.Errorf("sasl.mechanism: %s is not supported by the subscriber of ordering: partition; use %s, %s or %s, or ordering: key",
			s.Mechanism, kafka.Plain, kafka.ScramSHA256, kafka.ScramSHA512)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Fatal == nil {
		cfg.Fatal = func(error) {}
	}
	return &broker{Broker: b, cfg: cfg, open: map[string]int{}}, nil
}

// Subscriber implements infra.Broker. Each subscriber is a member of its group on the
// cluster, with its own client.
func (b *broker) Subscriber(group string, cfg infra.SubscriberConfig) (infra.Subscriber, error) {
	s := &subscriber{broker: b, group: group, cfg: cfg, flights: infra.NewInFlight()}
	real := b.cfg.Group(group)
	sub, err := wmkafka.NewSubscriber(wmkafka.SubscriberConfig{
		Brokers: b.cfg.Brokers, Unmarshaler: unmarshaler{&b.cfg}, ConsumerGroup: real,
		OverwriteSaramaConfig: client(&b.cfg, real), NackResendSleep: nackDelay, Tracer: sessions{s},
	}, logger{b, b.cfg.Logger.With(slog.String("group", real))})
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	s.Subscriber = sub
	b.mu.Lock()
	b.open[group]++
	b.mu.Unlock()
	return s, nil
}

// Leave implements infra.Broker. A closed static member keeps its place until then.
func (b *broker) Leave(ctx context.Context, group string) error {
	b.mu.Lock()
	open := b.open[group] > 0
	b.mu.Unlock()
	if open {
		return nil
	}
	return b.Broker.Leave(ctx, group)
}

// subscriber is watermill-kafka's own, with one message of a partition in flight. It is the
// baseline for measuring infra/pubsub, and the subscriber of `ordering: partition`. It adds
// draining and readiness. Its commits have no note, and it never calls
// SubscriberConfig.Resume.
type subscriber struct {
	*wmkafka.Subscriber
	broker  *broker
	group   string
	cfg     infra.SubscriberConfig
	joined  atomic.Int32 // sessions begun
	claimed atomic.Int32 // partitions it reads
	flights *infra.InFlight
	closing sync.Once
}

const (
	commitInterval = 100 * time.Millisecond // a kill repeats that much
	nackDelay      = 100 * time.Millisecond
)

// Close implements message.Subscriber.
func (s *subscriber) Close() error {
	err := s.Subscriber.Close()
	s.closing.Do(func() {
		s.broker.mu.Lock()
		s.broker.open[s.group]--
		s.broker.mu.Unlock()
	})
	return err
}

// Subscribe implements message.Subscriber.
func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	in, err := s.Subscriber.Subscribe(ctx, s.broker.cfg.Topic(topic))
	if err != nil {
		return nil, err
	}
	out := make(chan *message.Message)
	go s.pass(in, out)
	return out, nil
}

// pass hands messages on until in ends or the subscriber drains.
func (s *subscriber) pass(in <-chan *message.Message, out chan<- *message.Message) {
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

// handed is the message for the consumer. With receipts it is a new one, because
// watermill-kafka watches the original.
func (s *subscriber) handed(msg *message.Message) *message.Message {
	if !s.cfg.Receipts {
		return msg
	}
	out := message.NewMessage(msg.UUID, msg.Payload)
	out.Metadata = msg.Metadata
	out.SetContext(infra.WithReceipt(msg.Context(), infra.ReceiptFunc(func(acked bool) {
		if acked {
			msg.Ack()
		} else {
			msg.Nack()
		}
	})))
	return out
}

func (s *subscriber) await(ctx context.Context, msg *message.Message) {
	select {
	case <-msg.Acked():
	case <-msg.Nacked():
	case <-ctx.Done():
	}
	s.flights.End()
}

// Drain implements infra.Subscriber.
func (s *subscriber) Drain(ctx context.Context) error {
	s.flights.Drain()
	return s.flights.Wait(ctx, nil)
}

// Assigned implements infra.Subscriber.
func (s *subscriber) Assigned() bool { return s.joined.Load() > 0 }

// Stats implements infra.Subscriber. Only the number of partitions is known.
func (s *subscriber) Stats() infra.Stats { return infra.Stats{Partitions: int(s.claimed.Load())} }

// Deferred implements infra.Subscriber. This subscriber defers nothing.
func (s *subscriber) Deferred(string) int { return 0 }

// Bound implements infra.Subscriber. At most one message of each partition is in flight.
func (s *subscriber) Bound(int) {}

type unmarshaler struct{ cfg *kafka.Config }

// Unmarshal implements watermill-kafka's Unmarshaler. It accepts every record. The handler
// decides what the bytes mean, because it can poison.
func (u unmarshaler) Unmarshal(rec *sarama.ConsumerMessage) (*message.Message, error) {
	const coordinates = 4
	uuid := ""
	md := make(message.Metadata, len(rec.Headers)+coordinates)
	for _, h := range rec.Headers {
		switch {
		case h == nil:
		case string(h.Key) == wmkafka.UUIDHeaderKey:
			uuid = string(h.Value)
		default:
			md[string(h.Key)] = string(h.Value)
		}
	}
	md[infra.MetaKey] = string(rec.Key)
	md[infra.MetaTopic] = u.cfg.Logical(rec.Topic)
	md[infra.MetaPartition] = strconv.FormatInt(int64(rec.Partition), 10)
	md[infra.MetaOffset] = strconv.FormatInt(rec.Offset, 10)
	msg := message.NewMessage(uuid, rec.Value)
	msg.Metadata = md
	return msg, nil
}

// sessions is the hook that observes the subscriber's group sessions.
type sessions struct{ s *subscriber }

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
	s *subscriber
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

// logger logs the subscriber's errors, and stops a process whose place in the group another
// one took.
type logger struct {
	b   *broker
	log *slog.Logger
}

func (l logger) Error(msg string, err error, _ watermill.LogFields) {
	if errors.Is(err, sarama.ErrFencedInstancedId) {
		l.b.cfg.Fatal(fmt.Errorf("another process runs with the same broker.instance_id; give each process its own: %w", err))
	}
	l.log.Warn("watermill-kafka subscriber", slog.String("message", msg), slog.Any("error", err))
}
func (logger) Info(string, watermill.LogFields)                   {}
func (logger) Debug(string, watermill.LogFields)                  {}
func (logger) Trace(string, watermill.LogFields)                  {}
func (l logger) With(watermill.LogFields) watermill.LoggerAdapter { return l }
