package pubsub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// publisher stores messages.
type publisher struct {
	b          *broker
	durability infra.Durability
}

var _ message.Publisher = publisher{}

// Publish returns when the log has every message. The messages of a key in one call are in
// order.
func (p publisher) Publish(topic string, msgs ...*message.Message) error {
	if p.b.closed.Load() {
		return ErrClosed
	}
	recs, err := p.records(topic, msgs)
	if err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	err = p.append(topic, recs)
	if errors.Is(err, infra.ErrNoTopic) { // or it was deleted and created again, with other partitions
		p.b.partitions.Delete(topic)
		err = p.append(topic, recs)
	}
	if err = publishError(err, len(msgs), func(i int) *message.Message { return msgs[i] }); err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}

// publishError translates the error of an Append from records to messages.
func publishError(err error, n int, message func(i int) *message.Message) error {
	var some *infra.AppendError
	if !errors.As(err, &some) || len(some.Failed) == n {
		return err
	}
	out := &infra.PublishError{Err: fmt.Errorf("%d of %d messages: %w", len(some.Failed), n, some.Err)}
	for _, i := range some.Failed {
		out.Failed = append(out.Failed, message(i))
	}
	return out
}

func (p publisher) records(topic string, msgs []*message.Message) ([]*infra.Record, error) {
	all, recs := make([]infra.Record, len(msgs)), make([]*infra.Record, len(msgs))
	for i, m := range msgs {
		recs[i] = &all[i]
		if err := p.b.fill(recs[i], topic, m); err != nil {
			return nil, err
		}
	}
	return recs, nil
}

// fill makes rec of m.
func (b *broker) fill(rec *infra.Record, topic string, m *message.Message) error {
	rec.Topic = topic
	if err := write(rec, m); err != nil {
		return fmt.Errorf("message %s: %w", m.UUID, err)
	}
	if size, limit := sizeOf(rec), b.log.Limits().RecordBytes; size > limit {
		return fmt.Errorf("message %s: %w: %d bytes, at most %d", m.UUID, infra.ErrTooLarge, size, limit)
	}
	return nil
}

func (p publisher) append(topic string, recs []*infra.Record) error {
	ctx := context.Background()
	partitions, err := p.b.partitionsOf(ctx, topic)
	if err != nil {
		return err
	}
	for _, rec := range recs {
		rec.Partition = partitionFor(rec.Key, partitions)
	}
	return p.b.log.Append(ctx, infra.Batch{Records: recs, Durability: p.durability})
}

// Close does nothing: the publisher is shared and a stopping Watermill handler
// closes the one it was given.
func (publisher) Close() error { return nil }

// partitionsOf is the number of partitions of a topic.
func (b *broker) partitionsOf(ctx context.Context, topic string) (int32, error) {
	if n, known := b.partitions.Load(topic); known {
		return n.(int32), nil
	}
	bounds, err := b.log.Bounds(ctx, topic, time.Time{})
	if err != nil {
		return 0, missing(topic, err)
	}
	n := int32(len(bounds))
	if n == 0 {
		return 0, fmt.Errorf("topic %s has no partitions", topic)
	}
	b.partitions.Store(topic, n)
	return n, nil
}

// missing is the error for a missing topic, with what to do.
func missing(topic string, err error) error {
	if errors.Is(err, infra.ErrNoTopic) {
		return fmt.Errorf("topic %s %w; create it with EnsureTopics", topic, infra.ErrNoTopic)
	}
	return err
}
