package local

import (
	"context"
	"errors"
	"fmt"

	"eventserver/infra"
)

// errMissing is damage that Pebble does not notice.
var errMissing = errors.New("records are missing")

// salvageAhead is the number of offsets that are salvaged together before Pebble is tried
// again: a small damaged block takes Pebble some 10 ms.
const salvageAhead = 1000

// salvage reads records that Pebble cannot read, from c.next on and below end. When it
// finds none, first is the offset of the next record in a table, or end.
func (c *cursor) salvage(ctx context.Context, end int64, maxBytes int) (records []*infra.Record, first int64, err error) {
	s := &c.log.salvager
	if err := s.token.enter(ctx); err != nil {
		return nil, 0, err
	}
	defer s.token.leave()
	found, err := s.read(ctx, c.p, c.next, end, maxBytes)
	if err != nil {
		return nil, 0, c.failed(err)
	}
	want := c.next
	for _, f := range found {
		if f.offset != want && !c.trimmed(f.offset) && !c.inHole(want, f.offset) {
			break
		}
		want = f.next
		if f.record != nil {
			records = append(records, f.record)
		}
	}
	first = end
	if len(found) > 0 {
		first = found[0].offset
	}
	// A record that is in no table may be in memory.
	for bytes := 0; want < first && (len(records) == 0 || bytes < maxBytes); {
		e, err := c.get(want)
		if err != nil {
			break
		}
		want = e.next
		if e.record != nil {
			records = append(records, e.record)
			bytes += recordSize(e.record)
		}
	}
	c.next = want
	return records, first, nil
}

// get reads a record that Pebble finds before it comes to a damaged table. Pebble searches
// in memory first, then in the newest tables.
func (c *cursor) get(offset int64) (entry, error) {
	v, closer, err := c.log.db.Get(appendRecordKey(nil, c.p.topic.id, c.p.n, offset))
	if err != nil {
		return entry{}, err
	}
	e, err := c.p.entry(offset, v)
	return e, errors.Join(err, closer.Close())
}

// skipDamaged passes over unreadable records before end, and reports them.
func (c *cursor) skipDamaged(ctx context.Context, end int64, cause error) error {
	if err := c.log.checkDirectory(); err != nil {
		return err
	}
	if err := c.log.scans.enter(ctx); err != nil {
		return err
	}
	defer c.log.scans.leave()
	from := c.next
	if c.trimmed(from + 1) {
		return nil
	}
	// Find the first readable record: gallop, then bisect.
	bad, step := from, int64(1)
	for bad+step < end && !c.canRead(bad+step) {
		bad += step
		step *= 2
	}
	good := min(bad+step, end)
	for bad+1 < good {
		mid := bad + (good-bad)/2
		if c.canRead(mid) {
			good = mid
		} else {
			bad = mid
		}
	}
	to := good
	c.next = to
	damage := &infra.DamageError{
		Topic: c.p.topic.name, Partition: c.p.n, Offsets: infra.Span{From: from, To: to}, File: corruptFile(cause),
		Err: fmt.Errorf("local: topic %s, partition %d: offsets %d to %d cannot be read: %w%s", c.p.topic.name, c.p.n, from, to-1, plain(cause), c.log.dir.repairHint()),
	}
	c.log.damages.records(damage)
	return damage
}

// canRead reports whether Pebble finds the record at offset.
func (c *cursor) canRead(offset int64) bool {
	_, err := c.get(offset)
	return err == nil
}
