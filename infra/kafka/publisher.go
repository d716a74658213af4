package kafka

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// ErrClosed is returned by what is used after its broker was closed.
var ErrClosed = errors.New("kafka: closed")

// publisher stores messages with acks=all. Many messages of one call travel in
// few produce requests.
//
// There are two producers. When few publishes are under way each message goes
// at once; when many are, a millisecond of waiting lets them share requests,
// which costs both sides less than it delays. A caller waits for each publish,
// so that the messages of a key cannot overtake each other between the two.
type publisher struct {
	prompt, busy sarama.SyncProducer
	underway     atomic.Int64 // messages
	topic        func(string) string
	limit        int // bytes of a record

	mu     sync.RWMutex // held for reading while a publish runs: sarama panics on a send after close
	closed bool
}

// busyMessages is how many messages are under way when a publish begins to wait
// for company, and busyLinger how long. At 800 events a second on one machine
// some five are under way; at its limit, two hundred.
const (
	busyMessages = 48
	busyLinger   = time.Millisecond
)

// anewTries bounds how often a publish is made again after a topic was deleted and
// made anew: the client numbers its records, goes on from the old topic's, is refused
// and counts anew, once for each of its two producers and what they had under way.
const anewTries = 3

// Publish returns when the broker has every message; after an error some of
// them may be stored.
func (p *publisher) Publish(topic string, msgs ...*message.Message) error {
	err := p.publish(topic, msgs)
	for range anewTries {
		if !errors.Is(err, sarama.ErrOutOfOrderSequenceNumber) || errors.As(err, new(*infra.PublishError)) {
			break
		}
		err = p.publish(topic, msgs)
	}
	return err
}

func (p *publisher) publish(topic string, msgs []*message.Message) error {
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
	producer := p.prompt
	if p.underway.Add(int64(len(recs))) > busyMessages {
		producer = p.busy
	}
	defer p.underway.Add(-int64(len(recs)))
	if len(recs) == 1 {
		if _, _, err := producer.SendMessage(recs[0]); err != nil {
			return fmt.Errorf("publish to %s: %w", topic, tooLarge(err))
		}
		return nil
	}
	if err := producer.SendMessages(recs); err != nil {
		var many sarama.ProducerErrors
		if errors.As(err, &many) && len(many) > 0 {
			err := fmt.Errorf("publish to %s: %d of %d messages: %w", topic, len(many), len(recs), tooLarge(many[0].Err))
			if len(many) < len(recs) {
				return &infra.PublishError{Failed: failed(many, recs, msgs), Err: err}
			}
			return err
		}
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}

// failed are the messages whose records failed.
func failed(errs sarama.ProducerErrors, recs []*sarama.ProducerMessage, msgs []*message.Message) []*message.Message {
	of := make(map[*sarama.ProducerMessage]bool, len(errs))
	for _, e := range errs {
		of[e.Msg] = true
	}
	var out []*message.Message
	for i, rec := range recs {
		if of[rec] {
			out = append(out, msgs[i])
		}
	}
	return out
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
	return errors.Join(p.prompt.Close(), p.busy.Close())
}
