package pubsub

import (
	"context"
	"log/slog"
	"time"

	"eventserver/infra"
)

// A claim of a subscription with Runs hands out what it has read as a part of a run
// (see runner.go). Nothing waits there for a receiver, so that it needs no window, no
// keys and nothing read past; and its progress is kept with what the part came to.

// part is a claim's part of a run.
type part struct {
	infra.Part
	claim *claim
	recs  []*infra.Record
	ended chan bool // has one when the part has ended; false: it is to be handed out again
	over  bool      // so; runner.mu
}

// end is for a caller that holds runner.mu. done: nothing of the part is left to do;
// kept: that is so in the log.
func (p *part) end(done, kept bool) {
	if p.over {
		return
	}
	p.over = true
	if done {
		p.claim.done(kept)
	}
	p.ended <- done
}

// runs reads and hands out until the claim ends.
func (c *claim) runs() {
	defer context.AfterFunc(c.of.Context, c.end)()
	defer context.AfterFunc(c.sub.closing, c.end)()
	defer context.AfterFunc(c.ctx, c.sub.runner.turn)()
	defer c.reading.close()
	for c.ctx.Err() == nil {
		if c.sub.flights.Drained() {
			c.wait(true)
			continue
		}
		recs, did := c.gather()
		if len(recs) > 0 {
			c.handle(recs)
		} else if !did {
			c.wait(false)
		}
	}
}

// gather takes the records of the next part. did is false when there is nothing now.
func (c *claim) gather() (recs []*infra.Record, did bool) {
	r := &c.reading
	if len(r.records) == 0 {
		if did := c.fetch(); len(r.records) == 0 {
			return nil, did
		}
	}
	c.begin()
	c.mu.Lock()
	defer c.mu.Unlock()
	most, bytes, n := c.sub.cfg.Runs, 0, 0
	for ; n < len(r.records) && n < most.Messages; n++ {
		rec := r.records[n]
		size := sizeOf(rec)
		if len(recs) > 0 && bytes+size > most.Bytes {
			break
		}
		open := c.tracker.Add(rec.Offset)
		if open && c.made.has(rec) {
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
	c.messages, c.bytes = len(recs), bytes
	return recs, true
}

// handle hands a part out until it is done or the claim ends.
func (c *claim) handle(recs []*infra.Record) {
	for {
		p := &part{claim: c, recs: recs, ended: make(chan bool, 1)}
		if !c.sub.runner.take(c.ctx, p) {
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
	c.messages, c.bytes = 0, 0
	c.mu.Unlock()
	<-c.ctx.Done()
}

// awaitPart waits for the end of a part; false: it is not done. A handler whose claim has
// ended has some time for it.
func (c *claim) awaitPart(p *part) (done bool) {
	select {
	case done := <-p.ended:
		return done
	case <-c.ctx.Done():
	}
	late := time.NewTimer(c.sub.b.releaseTimeout())
	defer late.Stop()
	select {
	case done := <-p.ended:
		return done
	case <-late.C:
		c.sub.log.Error("a handler did not stop in time; its messages come again",
			slog.Int("partition", int(c.of.Partition)), slog.Int("messages", len(p.recs)))
	}
	return false
}

// done notes that the part in flight is done; kept: that is so in the log.
func (c *claim) done(kept bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tracker.DoneAll()
	c.messages, c.bytes = 0, 0
	if !kept {
		c.changed()
	}
}

// ahead is the progress once the part in flight is done. owned is false when another
// owner may be at work.
func (c *claim) ahead() (p infra.Progressed, owned bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, _ := c.tracker.End(c.sub.b.codec)
	return infra.Progressed{Group: c.sub.group, Topic: c.of.Topic, Partition: c.of.Partition, Position: at}, !c.left
}
