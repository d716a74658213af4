package local

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"eventserver/infra"
)

// cursor is an infra.Cursor. At the end of its partition it reads the tail, before that
// Pebble.
type cursor struct {
	log  *Log
	p    *partition
	more chan struct{}

	waiting bool // its last Read returned none; p.mu

	mu       sync.Mutex // against Close of the log
	next     int64
	salvaged int64 // below it the salvager is asked before Pebble
	live     bool  // counted in p.live
	closed   bool
}

// Open implements infra.LogRecords.
func (l *Log) Open(ctx context.Context, topic string, partition int32, from int64) (infra.Cursor, error) {
	if err := l.readable(ctx); err != nil {
		return nil, err
	}
	p, err := l.partition(topic, partition)
	if err != nil {
		return nil, err
	}
	c := &cursor{log: l, p: p, next: max(from, 0), more: make(chan struct{}, 1)}
	if !l.cursors.add(c) {
		return nil, ErrClosed
	}
	p.mu.Lock()
	p.cursors = append(p.cursors, c)
	p.mu.Unlock()
	return c, nil
}

// More implements infra.Cursor.
func (c *cursor) More() <-chan struct{} { return c.more }

func (c *cursor) signal() {
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// Read implements infra.Cursor.
func (c *cursor) Read(ctx context.Context, maxBytes int) ([]*infra.Record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	if err := c.log.readable(ctx); err != nil {
		return nil, err
	}
	if c.p.topic.deleted.Load() {
		return nil, errNoTopic(c.p.topic.name)
	}
	for {
		records, end := c.readTail(maxBytes)
		if len(records) == 0 && c.next < end {
			var err error
			if records, err = c.read(ctx, end, maxBytes); err != nil {
				return nil, err
			}
			if len(records) == 0 {
				continue // trimmed meanwhile, or a hole
			}
		}
		if n := len(records); n > 0 {
			c.next = max(c.next, records[n-1].Offset+1)
		}
		return records, nil
	}
}

// readTail returns the tail's records for the cursor, and the end of the partition.
func (c *cursor) readTail(maxBytes int) ([]*infra.Record, int64) {
	p := c.p
	p.mu.Lock()
	defer p.mu.Unlock()
	c.next = max(c.next, p.low)
	if c.next >= p.end {
		c.waiting = true
		c.setLive(true)
		return nil, p.end
	}
	records := p.tail.read(c.next, maxBytes)
	c.setLive(len(records) > 0)
	return records, p.end
}

func (c *cursor) setLive(live bool) {
	if live == c.live {
		return
	}
	c.live = live
	if live {
		c.p.live.Add(1)
	} else {
		c.p.live.Add(-1)
	}
}

// read reads from c.next on, below end. It uses Pebble, and the salvager where Pebble
// cannot read.
func (c *cursor) read(ctx context.Context, end int64, maxBytes int) ([]*infra.Record, error) {
	from := c.next
	if from < c.salvaged {
		records, _, err := c.salvage(ctx, end, maxBytes)
		if err != nil || c.next > from {
			return records, err
		}
		c.salvaged = 0
	}
	records, damage, err := c.scan(ctx, end, maxBytes)
	if err != nil || damage == nil {
		return records, err
	}
	records, first, err := c.salvage(ctx, end, maxBytes)
	if err != nil {
		return nil, err
	}
	if c.next > from {
		c.salvaged = c.next + salvageAhead
		return records, nil
	}
	return nil, c.skipDamaged(ctx, first, damage)
}

// scan reads Pebble from c.next on, below end. damage is the reason why it cannot.
func (c *cursor) scan(ctx context.Context, end int64, maxBytes int) (records []*infra.Record, damage, err error) {
	if err := c.log.scans.enter(ctx); err != nil {
		return nil, nil, err
	}
	defer c.log.scans.leave()
	it, err := c.log.records(c.p, c.next, end)
	if err != nil {
		return nil, nil, c.failed(err)
	}
	defer func() { _ = it.Close() }() // its error is it.Error
	bytes, want := 0, c.next
	for ok := it.First(); ok && (len(records) == 0 || bytes < maxBytes); ok = it.Next() {
		offset, err := offsetOf(it.Key())
		if err != nil || offset != want && !c.trimmed(offset) && !c.inHole(want, offset) {
			break
		}
		v, err := it.ValueAndErr()
		if err != nil {
			break
		}
		e, err := c.p.entry(offset, v)
		if err != nil {
			break
		}
		want = max(want, e.next)
		if e.record != nil {
			records = append(records, e.record)
			bytes += recordSize(e.record)
		}
	}
	if len(records) > 0 || want > c.next {
		c.next = want
		return records, nil, nil // the next Read meets the damage behind them
	}
	if err := it.Error(); err != nil && !pebble.IsCorruptionError(err) {
		return nil, nil, c.failed(err)
	}
	if it.Error() == nil && c.inHole(c.next, end) {
		c.next = end
		return nil, nil, nil
	}
	if c.trimmed(end) {
		return nil, nil, nil
	}
	return nil, cmp.Or(it.Error(), errMissing), nil
}

// inHole reports whether a hole that begins before from reaches to to.
func (c *cursor) inHole(from, to int64) bool {
	it, err := c.log.records(c.p, 0, from)
	if err != nil {
		return false
	}
	defer func() { _ = it.Close() }() // looked at below
	if !it.Last() {
		return false
	}
	v, err := it.ValueAndErr()
	if err != nil {
		return false
	}
	next, ok := holeIn(v)
	return ok && next >= to
}

// entry is a record, or a hole.
type entry struct {
	offset int64
	next   int64 // behind it, or where the hole ends
	record *infra.Record
}

// entry reads a value and copies it.
func (p *partition) entry(offset int64, value []byte) (entry, error) {
	if next, ok := holeIn(value); ok {
		return entry{offset, max(next, offset+1), nil}, nil
	}
	r, err := decodeRecord(slices.Clone(value))
	if err != nil {
		return entry{}, err
	}
	r.Topic, r.Partition, r.Offset = p.topic.name, p.n, offset
	return entry{offset, offset + 1, &r.Record}, nil
}

// trimmed reports whether everything from c.next to offset is trimmed.
func (c *cursor) trimmed(offset int64) bool {
	low, _ := c.p.bounds()
	return low >= offset || c.p.topic.deleted.Load()
}

func (c *cursor) failed(err error) error {
	return fmt.Errorf("local: read topic %s, partition %d, offset %d: %w", c.p.topic.name, c.p.n, c.next, err)
}

// Close implements infra.Cursor.
func (c *cursor) Close() {
	c.shut()
	c.log.cursors.remove(c)
}

func (c *cursor) shut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	c.setLive(false)
	c.p.mu.Lock()
	c.p.cursors = slices.DeleteFunc(c.p.cursors, func(o *cursor) bool { return o == c })
	c.p.mu.Unlock()
	c.signal()
}

// cursors are the open cursors.
type cursors struct {
	mu     sync.Mutex
	open   map[*cursor]struct{}
	closed bool
}

func (cs *cursors) add(c *cursor) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closed {
		return false
	}
	if cs.open == nil {
		cs.open = map[*cursor]struct{}{}
	}
	cs.open[c] = struct{}{}
	return true
}

func (cs *cursors) remove(c *cursor) {
	cs.mu.Lock()
	delete(cs.open, c)
	cs.mu.Unlock()
}

func (cs *cursors) all() []*cursor {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	all := make([]*cursor, 0, len(cs.open))
	for c := range cs.open {
		all = append(all, c)
	}
	return all
}

// wake makes every reader read again.
func (cs *cursors) wake() {
	for _, c := range cs.all() {
		c.signal()
	}
}

// close waits for running Reads.
func (cs *cursors) close() {
	cs.mu.Lock()
	cs.closed = true
	cs.mu.Unlock()
	for _, c := range cs.all() {
		c.shut()
	}
}
