package pubsub

import (
	"log/slog"
	"slices"
	"time"

	"eventserver/infra"
)

// A claim of a subscription with Runs hands out records as parts of runs (runner.go).
// Nothing waits for a receiver there, so it needs no window, no keys and no deferring. Its
// progress is stored with the output of the part.

// part is a claim's part of a run.
type part struct {
	infra.Part
	claim       *claim
	recs        []*infra.Record
	live        []*entry  // of recs, where they came at the live end
	result      chan bool // otherwise: receives at the end of the part; false: hand it out again
	finished    bool      // so; runner.mu
	outputBytes int       // bytes of messages that were made of it, charged; runner.mu
}

// partResult is the result of a part.
type partResult int

const (
	resultRetry   partResult = iota // hand it out again, unless the claim ends
	resultSkipped                   // it had no output; its progress need not be kept at once
	resultAcked                     // it is done; its progress must be kept
	resultStored                    // likewise, and it is
)

// catchUp reads and hands out until the claim is at the live end, or has ended. first are
// records that it has read already.
func (f *follower) catchUp(first []*infra.Record) {
	c := f.claim
	c.reading = reading{account: c.sub.account, next: c.next()}
	if len(first) > 0 {
		c.handle(first)
	}
	for c.ctx.Err() == nil {
		if c.sub.flights.Drained() {
			c.wait(true)
			continue
		}
		if c.lacksRoom() {
			c.waitForRoom()
			continue
		}
		recs, found := c.gather()
		if len(recs) > 0 {
			c.handle(recs)
		}
		if f.tryJoin() {
			return
		}
		if !found {
			c.wait(false)
		}
	}
	c.reading.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	f.phase = phaseStopped
	f.endIfIdle()
}

// waitForRoom returns when there may be room. A destination may be down for days: after
// fullRelease nothing is held open or read ahead.
func (c *claim) waitForRoom() {
	late := time.NewTimer(fullRelease)
	defer late.Stop()
	select {
	case <-c.wakeup:
	case <-c.ctx.Done():
	case <-c.sub.flights.Draining():
	case <-late.C:
		c.reading.close()
		c.wait(false)
	}
}

// tryJoin moves the claim to the live end if it can.
func (f *follower) tryJoin() bool {
	c := f.claim
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil || c.sub.flights.Drained() || !f.join(c.inRange) {
		return false
	}
	c.reading.close()
	return true
}

// next is the next offset to read.
func (c *claim) next() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tracker.Next()
}

// gather takes the records of the next part. did is false when there are none now.
func (c *claim) gather() (recs []*infra.Record, found bool) {
	r := &c.reading
	if len(r.records) == 0 {
		if found := c.fetch(); len(r.records) == 0 {
			return nil, found
		}
	}
	if slices.ContainsFunc(r.records, c.sub.filter.matches) {
		c.begin()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	limit, bytes, n := c.partLimit(), 0, 0
	for ; n < len(r.records) && len(recs) < limit.Messages; n++ {
		rec := r.records[n]
		if !c.sub.filter.matches(rec) {
			c.skip(rec)
			continue
		}
		size := costOf(rec)
		if len(recs) > 0 && bytes+size > limit.Bytes {
			break
		}
		open := c.tracker.Add(rec.Offset)
		if open && c.alreadyDone.has(rec) {
			open = false
			c.tracker.Done(rec.Offset)
		}
		if !open {
			c.sub.suppressed.Add(1)
			c.changed()
			continue
		}
		recs = append(recs, rec)
		bytes += size
	}
	r.drop(n)
	c.setHeld(len(recs), bytes)
	return recs, true
}

// lacksRoom reports whether the subscription has no room. The claim is then woken when it
// has.
func (c *claim) lacksRoom() bool {
	if c.sub.account.share() < 1 {
		return false
	}
	c.sub.account.wait(c)
	return c.sub.account.share() >= 1 // there may have been room before
}

// partLimit is the maximum of a part: the subscription's Runs, its Bound, and the free memory.
func (c *claim) partLimit() infra.Runs {
	limit := c.sub.cfg.Runs
	if bound := int(c.sub.account.maxMessages.Load()); bound > 0 {
		limit.Messages = min(limit.Messages, bound)
	}
	limit.Bytes = min(limit.Bytes, c.sub.account.room())
	return limit
}

// skip counts an unwanted record as done. The caller holds mu.
func (c *claim) skip(rec *infra.Record) {
	if !c.tracker.Add(rec.Offset) {
		c.sub.suppressed.Add(1)
		return
	}
	c.tracker.Done(rec.Offset)
	c.sub.filter.onSkipped(1)
	c.markSkipped()
}

// markSkipped records that a position moved that need not be kept at once. The caller holds mu.
func (c *claim) markSkipped() {
	c.skippedOnly = true
	c.sub.live.scheduleKeep()
}

// handle hands a part out until it is done or the claim ends.
func (c *claim) handle(recs []*infra.Record) {
	for {
		p := &part{claim: c, recs: recs, result: make(chan bool, 1)}
		if !c.sub.runner.offer(p) {
			break
		}
		if c.awaitPart(p) {
			return
		}
		pause := time.NewTimer(c.sub.b.cfg.NackDelay)
		select {
		case <-pause.C:
		case <-c.ctx.Done():
		case <-c.sub.flights.Draining():
		}
		pause.Stop()
	}
	// The claim has ended, or the subscriber drains: the part is the next owner's.
	c.mu.Lock()
	c.setHeld(0, 0)
	c.mu.Unlock()
	<-c.ctx.Done()
}

// awaitPart waits for the end of a part; false: it is not done. A handler has some time
// after its claim has ended.
func (c *claim) awaitPart(p *part) (done bool) {
	long := time.NewTimer(fullRelease)
	defer long.Stop()
	for waits := true; waits; {
		select {
		case done := <-p.result:
			return done
		case <-long.C: // as waitForRoom
			c.reading.close()
		case <-c.sub.flights.Draining():
			waits = false
		case <-c.ctx.Done():
			waits = false
		}
	}
	if c.sub.runner.withdraw(p) {
		return false
	}
	select {
	case done := <-p.result:
		return done
	case <-c.ctx.Done():
	}
	late := time.NewTimer(c.sub.b.releaseTimeout())
	defer late.Stop()
	select {
	case done := <-p.result:
		return done
	case <-late.C:
		p.logAbandoned()
	}
	return false
}

func (p *part) logAbandoned() {
	p.claim.sub.log.Error("a handler did not stop in time; its messages are delivered again",
		slog.Int("partition", int(p.claim.base.Partition)), slog.Int("messages", len(p.recs)))
}

// done records that the part in flight is done.
func (c *claim) done(v partResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tracker.DoneAll()
	c.setHeld(0, 0)
	switch v {
	case resultSkipped:
		c.markSkipped()
	case resultAcked:
		c.changed()
	}
}

// nextProgress is the progress after the part in flight. owned is false when another owner may be
// at work.
func (c *claim) nextProgress() (p infra.Progressed, owned bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, _ := c.tracker.End(c.sub.b.codec)
	return infra.Progressed{Group: c.sub.group, Topic: c.base.Topic, Partition: c.base.Partition, Position: at}, !c.final
}
