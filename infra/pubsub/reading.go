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
	account *account
	ahead   int          // bytes of records, charged
	cursor  infra.Cursor // nil: closed
	next    int64        // offset of the next record to take, or below it
	records []*infra.Record
	hurt    *infra.DamageError // behind records
	atEnd   bool               // there was nothing more to read
	again   time.Time          // not before this, after an error
	wait    time.Duration      // of that error; zero: the last read was good
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
	r.cursor, r.hurt, r.atEnd = nil, nil, false
	r.forget()
}

// forget releases the records read ahead.
func (r *reading) forget() {
	r.account.charge(-r.ahead)
	r.ahead, r.records = 0, nil
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
	bytes = min(bytes, r.ahead)
	r.ahead -= bytes
	r.account.charge(-bytes)
	clear(r.records[:n]) // the array lives on behind the slice
	r.records = r.records[n:]
}

// fill reads more records into r, which is empty. It returns false when there are none
// now.
func (c *claim) fill(r *reading, bytes int) bool {
	if r.atEnd || !r.again.IsZero() && time.Until(r.again) > 0 {
		return false
	}
	var err error
	if r.cursor == nil {
		r.cursor, err = c.sub.b.log.Open(c.ctx, c.of.Topic, c.of.Partition, r.next)
	}
	if err == nil {
		r.records, err = r.cursor.Read(c.ctx, min(bytes, r.account.room()))
		for _, rec := range r.records {
			r.ahead += costOf(rec)
		}
		r.account.charge(r.ahead)
	}
	switch {
	case errors.As(err, &r.hurt):
		return true
	case err != nil:
		c.retry(r, err)
		return len(r.records) > 0
	}
	r.again, r.wait = time.Time{}, 0
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
	r.again = time.Now().Add(r.wait)
	level := slog.LevelDebug
	if first {
		level = slog.LevelWarn
	}
	c.sub.log.Log(c.ctx, level, "cannot read; trying again", slog.Int("partition", int(c.of.Partition)),
		slog.Int64("offset", r.next), slog.Any("error", err), slog.Duration("wait", r.wait))
}

// fetch reads the next records of the partition. It returns true when the position has
// moved, also without a record.
func (c *claim) fetch() bool {
	r := &c.reading
	if r.hurt == nil && !c.fill(r, readBytes) {
		return r.atEnd && c.rewind()
	}
	if len(r.records) > 0 {
		return true
	}
	d := r.hurt
	r.hurt = nil
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
	if c.placed {
		return false
	}
	b, err := c.bounds()
	if err != nil {
		r.atEnd = false
		c.retry(r, err)
		return false
	}
	c.placed = true
	if r.next <= b.End {
		return false
	}
	c.sub.log.Error("the partition is shorter than the group's progress: its end was lost; reading continues with new records",
		slog.Int("partition", int(c.of.Partition)), slog.Int64("done", r.next), slog.Int64("end", b.End))
	r.close()
	r.next = b.End
	c.mu.Lock()
	c.tracker = progress.NewTracker(progress.State{Next: b.End, Note: c.tracker.Note()})
	c.changed()
	c.mu.Unlock()
	return true
}
