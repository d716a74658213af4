package kafka

import (
	"errors"
	"fmt"
	"sync"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// ErrClosed is returned by what is used after its broker was closed.
var ErrClosed = errors.New("kafka: closed")

// publisher stores messages with acks=all. Many messages of one call travel in
// few produce requests.
type publisher struct {
	producer sarama.SyncProducer
	topic    func(string) string
	limit    int // bytes of a record

	mu     sync.RWMutex // held for reading while a publish runs: sarama panics on a send after close
	closed bool
}

// Publish returns when the broker has every message; after an error some of
// them may be stored.
func (p *publisher) Publish(topic string, msgs ...*message.Message) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return ErrClosed
	}
	real := p.topic(topic)
	recs := make([]*sarama.ProducerMessage, len(msgs))
	for i, m := range msgs {
		rec, err := marshaler{}.Marshal(real, m)
		if err != nil {
			return fmt.Errorf("publish to %s: message %s: %w", topic, m.UUID, err)
		}
		const recordVersion = 2 // of Kafka 0.11 and later
		if size := rec.ByteSize(recordVersion); size > p.limit {
			return fmt.Errorf("publish to %s: message %s: %w: %d bytes, at most %d", topic, m.UUID, infra.ErrTooLarge, size, p.limit)
		}
		recs[i] = rec
	}
	if len(recs) == 1 {
		if _, _, err := p.producer.SendMessage(recs[0]); err != nil {
			return fmt.Errorf("publish to %s: %w", topic, tooLarge(err))
		}
		return nil
	}
	if err := p.producer.SendMessages(recs); err != nil {
		var many sarama.ProducerErrors
		if errors.As(err, &many) && len(many) > 0 {
			return fmt.Errorf("publish to %s: %d of %d messages: %w", topic, len(many), len(recs), tooLarge(many[0].Err))
		}
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}

// tooLarge marks the cluster's own refusal: its limit may be lower than ours.
func tooLarge(err error) error {
	if errors.Is(err, sarama.ErrMessageSizeTooLarge) {
		return fmt.Errorf("%w: %w", infra.ErrTooLarge, err)
	}
	return err
}

// Close does nothing: the publisher is shared and a stopping Watermill handler
// closes the one it was given. The broker closes it.
func (p *publisher) Close() error { return nil }

func (p *publisher) shut() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	return p.producer.Close()
}
