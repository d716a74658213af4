package pubsub

import (
	"errors"
	"log/slog"
	"time"

	"eventserver/infra"
	"eventserver/infra/progress"
)

// reading is a claim's reading of its partition: a cursor, opened when it is needed, and
// the records that were read and not taken.
type reading struct {
	account    *account
	bytesAhead int          // bytes of records, charged
	cursor     infra.Cursor // nil: closed
	next       int64        // offset of the next record to take, or below it
	records    []*infra.Record
	damage     *infra.DamageError // behind records
	atEnd      bool               // there was nothing more to read
	retryAt    time.Time          // not before this, after an error
	wait       time.Duration      // of that error; zero: the last read was good
}

const (
	readBytes = 128 << 10
	passBytes = 64 << 10
	// readPatience is the maximum pause between two tries of a failed read.
	readPatience = 10 * time.Second
)

// close releases the cursor and the records read ahead.
func (r *reading) close() {
	if r.cursor != nil {
		r.cursor.Close()
	}
	r.cursor, r.damage, r.atEnd = nil, nil, false
	r.forget()
}

// forget releases the records read ahead.
func (r *reading) forget() {
	r.account.charge(-r.bytesAhead)
	r.bytesAhead, r.records = 0, nil
}

// drop removes n taken records.
func (r *reading) drop(n int) {
	if n == 0 {
		return
	}
	r.next = r.records[n-1].Offset + 1
	bytes := 0
	for _, rec := range r.records[:n] {
		bytes += costOf(rec)
	}
	bytes = min(bytes, r.bytesAhead)
	r.bytesAhead -= bytes
	r.account.charge(-bytes)
	clear(r.records[:n]) // the array lives on behind the slice
	r.records = r.records[n:]
}

// fill reads more records into r, which is empty. It returns false when there are none
// now.
func (c *claim) fill(r *reading, bytes int) bool {
	if r.atEnd || !r.retryAt.IsZero() && time.Until(r.retryAt) > 0 {
		return false
	}
	var err error
	if r.cursor == nil {
		r.cursor, err = c.sub.b.log.Open(c.ctx, c.base.Topic, c.base.Partition, r.next)
	}
	if err == nil {
		r.records, err = r.cursor.Read(c.ctx, min(bytes, r.account.room()))
		for _, rec := range r.records {
			r.bytesAhead += costOf(rec)
		}
		r.account.charge(r.bytesAhead)
	}
	switch {
	case errors.As(err, &r.damage):
		return true
	case err != nil:
		c.retry(r, err)
		return len(r.records) > 0
	}
	r.retryAt, r.wait = time.Time{}, 0
	r.atEnd = len(r.records) == 0
	return !r.atEnd
}

// retry makes r wait before the next try.
func (c *claim) retry(r *reading, err error) {
	if c.ctx.Err() != nil {
		return
	}
	if r.cursor != nil {
		r.cursor.Close()
		r.cursor = nil
	}
	first := r.wait == 0
	r.wait = min(max(2*r.wait, c.sub.b.cfg.NackDelay), readPatience)
	r.retryAt = time.Now().Add(r.wait)
	level := slog.LevelDebug
	if first {
		level = slog.LevelWarn
	}
	c.sub.log.Log(c.ctx, level, "cannot read; trying again", slog.Int("partition", int(c.base.Partition)),
		slog.Int64("offset", r.next), slog.Any("error", err), slog.Duration("wait", r.wait))
}

// fetch reads the next records of the partition. It returns true when the position has
// moved, also without a record.
func (c *claim) fetch() bool {
	r := &c.reading
	if r.damage == nil && !c.fill(r, readBytes) {
		return r.atEnd && c.rewind()
	}
	if len(r.records) > 0 {
		return true
	}
	d := r.damage
	r.damage = nil
	c.sub.damaged(d)
	b, err := c.bounds()
	to := min(d.Offsets.To, b.End)
	if err != nil || to <= r.next { // unknown how to continue
		c.retry(r, d)
		return false
	}
	r.next = to
	c.mu.Lock()
	c.tracker.PassOver(to) // it counts as done
	c.changed()
	c.mu.Unlock()
	return true
}

// rewind goes back to the end of a partition that is shorter than the group's progress.
// Otherwise new records would count as done.
func (c *claim) rewind() bool {
	r := &c.reading
	if c.inRange {
		return false
	}
	b, err := c.bounds()
	if err != nil {
		r.atEnd = false
		c.retry(r, err)
		return false
	}
	c.inRange = true
	if r.next <= b.End {
		return false
	}
	c.sub.log.Error("the partition is shorter than the group's progress: its end was lost; reading continues with new records",
		slog.Int("partition", int(c.base.Partition)), slog.Int64("done", r.next), slog.Int64("end", b.End))
	r.close()
	r.next = b.End
	c.mu.Lock()
	c.tracker = progress.NewTracker(progress.State{Next: b.End, Note: c.tracker.Note()})
	c.changed()
	c.mu.Unlock()
	return true
}
