package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"eventserver/infra"
)

// cursor is a place in a partition. Behind the live end it reads for itself. At the end it
// gets new records, as all other cursors there.
type cursor struct {
	log       *Log
	topic     string
	partition int32
	next      int64
	buffered  []*infra.Record // read and not given yet
	tail      *tail           // at the end; nil: behind it
	more      chan struct{}
	closed    bool
}

// Open implements infra.LogRecords.
func (l *Log) Open(ctx context.Context, topic string, partition int32, from int64) (infra.Cursor, error) {
	if err := l.usable(ctx); err != nil {
		return nil, err
	}
	if _, err := l.topics.partition(ctx, l.cfg.Topic(topic), partition); err != nil {
		return nil, err
	}
	return &cursor{log: l, topic: topic, partition: partition, next: max(from, 0), more: make(chan struct{}, 1)}, nil
}

// More implements infra.Cursor.
func (c *cursor) More() <-chan struct{} { return c.more }

func (c *cursor) wake() {
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// Close implements infra.Cursor.
func (c *cursor) Close() {
	c.closed = true
	c.leave()
	c.buffered = nil
}

func (c *cursor) leave() {
	if c.tail != nil {
		c.log.followers.detach(c, c.tail)
		c.tail = nil
	}
}

// expectsOwn reports whether this process has appended records that the cursor has not got yet:
// the answer for them is on its way.
func (c *cursor) expectsOwn() bool {
	return c.log.producer.end(topicPartition{c.log.cfg.Topic(c.topic), c.partition}) > c.next
}

// maxOwnWait is the maximum wait for such an answer.
const maxOwnWait = 50 * time.Millisecond

func (c *cursor) await(ctx context.Context) bool {
	t := time.NewTimer(maxOwnWait)
	defer t.Stop()
	select {
	case <-c.more:
		return true
	case <-ctx.Done():
		return true
	case <-t.C:
		return false
	}
}

// maxRead is the maximum request of a cursor that is behind. A batch can be larger than
// the wanted part of it.
const maxRead = 1 << 20

// Read implements infra.Cursor.
func (c *cursor) Read(ctx context.Context, maxBytes int) ([]*infra.Record, error) {
	for {
		if err := c.log.usable(ctx); err != nil {
			return nil, err
		}
		if c.closed {
			return nil, ErrClosed
		}
		if len(c.buffered) > 0 {
			return c.takeBuffered(maxBytes), nil
		}
		if c.tail != nil {
			recs, here := c.tail.read(c, maxBytes)
			if n := len(recs); n > 0 {
				c.next = recs[n-1].Offset + 1
			}
			if here && (len(recs) > 0 || !c.expectsOwn()) {
				return recs, nil
			}
			if here && c.await(ctx) {
				continue
			}
			c.leave()
		}
		if err := c.readBehind(ctx, maxBytes); err != nil {
			return nil, err
		}
	}
}

// readBehind reads into buffered, or moves the cursor to the live end, which may have moved
// meanwhile.
func (c *cursor) readBehind(ctx context.Context, maxBytes int) error {
	before := c.log.producer.end(topicPartition{c.log.cfg.Topic(c.topic), c.partition})
	got := c.log.fetches.fetch(ctx, c.topic, c.partition, c.next, min(max(maxBytes, 4<<10), maxRead))
	switch {
	case errors.Is(got.err, kerr.OffsetOutOfRange):
		return c.moveIntoRange(ctx)
	case got.err != nil:
		return got.err
	case len(got.records) > 0:
		c.buffered = got.records
		return nil
	case got.next > c.next: // records in between are not delivered, such as the end of a transaction
		c.next = got.next
		return nil
	}
	if before > c.next {
		c.log.producer.forgetEnd(topicPartition{c.log.cfg.Topic(c.topic), c.partition}, before)
	}
	return c.follow(ctx, c.next)
}

// follow moves the cursor to the live end, which was at offset. It fails if the live end
// has moved too far meanwhile.
func (c *cursor) follow(ctx context.Context, offset int64) error {
	info, err := c.log.topics.partition(ctx, c.log.cfg.Topic(c.topic), c.partition)
	if err == nil {
		c.tail = c.log.followers.attach(c, info, offset)
	}
	return err
}

// moveIntoRange continues at the oldest record, or waits until the partition grows.
func (c *cursor) moveIntoRange(ctx context.Context) error {
	all, err := c.log.Bounds(ctx, c.topic, time.Time{})
	if err != nil {
		return err
	}
	b := all[c.partition]
	switch {
	case c.next < b.Oldest:
		c.next = b.Oldest
	case c.next > b.End:
		return c.follow(ctx, b.End)
	}
	return nil
}

// takeBuffered returns some of the read records.
func (c *cursor) takeBuffered(maxBytes int) []*infra.Record {
	n := cut(c.buffered, maxBytes)
	recs := c.buffered[:n:n]
	c.buffered = c.buffered[n:]
	c.next = recs[n-1].Offset + 1
	return recs
}

// cut is the number of recs that make about maxBytes, at least one.
func cut(recs []*infra.Record, maxBytes int) (n int) {
	for size := 0; n < len(recs) && (n == 0 || size < maxBytes); n++ {
		size += sizeOf(recs[n])
	}
	return n
}
