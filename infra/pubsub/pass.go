package pubsub

import (
	"errors"
	"log/slog"
	"time"

	"eventserver/infra"
)

// A key with WindowKey messages in flight gets no more. Its later records are deferred:
// read past and dropped from memory. So a user with a hundred thousand queued events takes
// a bounded part of the window, and reading continues for the others. When half of the
// key's messages are done, a second reading returns to its first deferred record and hands
// them out in order.
//
// Messages that the consumer gives back are deferred too. They may lie behind the second
// reading, which then leaves their key to the next one.

// keyState is one key of a claim. It is guarded by claim.mu.
type keyState struct {
	name     string
	held     int   // messages in flight
	deferred int   // records read past
	first    int64 // no deferred record of the key lies below
	missed   bool  // the pass may be beyond first
}

// keyOf returns the state of a key. The caller holds mu.
func (c *claim) keyOf(name []byte) *keyState {
	k := c.keys[string(name)]
	if k == nil {
		k = &keyState{name: string(name)}
		c.keys[k.name] = k
	}
	return k
}

// deferIfFull defers a record of a key that has no room, or that has deferred records, which
// come first. Records without a key, of other programs, have no order and no bound of
// their own. The caller holds mu.
func (c *claim) deferIfFull(k *keyState, offset int64) bool {
	if k.name == "" || k.held < c.sub.b.cfg.WindowKey && k.deferred == 0 {
		return false
	}
	c.deferRecord(k, offset)
	return true
}

// deferRecord defers a record. The caller holds mu.
func (c *claim) deferRecord(k *keyState, offset int64) {
	if k.deferred == 0 {
		k.first = offset
		c.deferredKeys[k.name] = k
	}
	k.first = min(k.first, offset)
	k.deferred++
	c.tracker.Defer(offset)
}

// deferSent defers a record that was handed out. The caller holds mu.
func (c *claim) deferSent(f *flight) {
	c.deferRecord(f.key, f.offset)
	f.key.missed = true
	for _, other := range c.transit {
		if other.key == f.key && other.offset > f.offset && f.key.name != "" {
			other.stale = true
		}
	}
}

// keyHasRoom reports whether the key has room for half of its maximum.
func (c *claim) keyHasRoom(k *keyState) bool { return k.held <= c.sub.b.cfg.WindowKey/2 }

// pass is one second reading of deferred records. Its cursor stays open between passes
// while keys have deferred records, because the next pass usually begins there.
type pass struct {
	reading

	done     bool                // it has served its keys
	from, to int64               // offsets; those below next were checked
	pending  map[string]struct{} // keys that it is for and has not served yet
	fullKeys map[string]struct{} // keys of which it has seen a record and could not hand it out
}

// openPass begins a pass when a key has room for its deferred records; false when none
// has. The caller holds mu.
func (c *claim) openPass() bool {
	if c.pass != nil && !c.pass.done {
		return true
	}
	if len(c.deferredKeys) == 0 {
		c.closePass()
		return false
	}
	b := &pass{reading: reading{account: c.sub.account}, to: c.tracker.Next(), pending: map[string]struct{}{}, fullKeys: map[string]struct{}{}}
	for key, k := range c.deferredKeys {
		k.missed = false
		if !c.keyHasRoom(k) {
			continue
		}
		if len(b.pending) == 0 || k.first < b.from {
			b.from = k.first
		}
		b.pending[key] = struct{}{}
	}
	if len(b.pending) == 0 {
		return false
	}
	if old := c.pass; old != nil && old.next <= b.from && b.from < old.next+maxTake {
		b.reading = old.reading
		b.atEnd = false
	} else {
		c.closePass()
		b.next = b.from
	}
	c.pass = b
	return true
}

func (c *claim) closePass() {
	if c.pass != nil {
		c.pass.close()
		c.pass = nil
	}
}

// takeDeferred hands out deferred records.
func (c *claim) takeDeferred() ([]*flight, bool) {
	c.mu.Lock()
	open := c.openPass()
	c.mu.Unlock()
	if !open {
		return nil, false
	}
	p := c.pass
	if len(p.records) == 0 && p.damage == nil && !c.fill(&p.reading, passBytes) {
		if !p.atEnd {
			return nil, false // it waits before the next try
		}
		p.atEnd = false
		return nil, c.closeGap(p, p.to)
	}
	if len(p.records) == 0 {
		return nil, c.skipDamage(p)
	}
	out, gap := c.refill(p)
	if gap > p.next {
		c.closeGap(p, gap)
	}
	return out, true
}

// refill hands out the records of the pass that are next of their keys. It stops at
// deferred offsets below gap that the log does not have.
func (c *claim) refill(p *pass) (out []*flight, gap int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < min(len(p.records), maxTake) && c.share() < 1 && !p.done {
		rec := p.records[n]
		if upTo := min(rec.Offset, p.to); c.deferredIn(p.next, upTo) {
			gap = upTo
			break
		}
		if rec.Offset >= p.to {
			p.done = true
			break
		}
		f, looked := c.refillOne(p, rec)
		if !looked {
			break
		}
		if f != nil {
			out = append(out, f)
		}
		p.next = rec.Offset + 1
		n++
	}
	p.drop(n)
	p.done = p.done || p.next >= p.to
	return out, gap
}

// refillOne hands out a record when it is the next of its key. The pass ends when every
// key that it serves is full. The record is then left for the next pass. The caller holds
// mu.
func (c *claim) refillOne(p *pass, rec *infra.Record) (f *flight, looked bool) {
	if !c.tracker.IsDeferred(rec.Offset) {
		return nil, true
	}
	k := c.keys[string(rec.Key)]
	_, passed := p.fullKeys[k.name]
	switch {
	case k.missed:
		delete(p.pending, k.name)
		p.done = len(p.pending) == 0
		return nil, !p.done
	case passed || k.first < p.from: // an earlier one was not handed out
		return nil, true
	case k.held >= c.sub.b.cfg.WindowKey:
		k.first = rec.Offset
		p.fullKeys[k.name] = struct{}{}
		delete(p.pending, k.name)
		p.done = len(p.pending) == 0
		return nil, !p.done
	}
	c.tracker.TakeUp(rec.Offset)
	k.first = rec.Offset + 1
	if k.deferred--; k.deferred == 0 {
		delete(c.deferredKeys, k.name)
		delete(p.pending, k.name)
		p.done = len(p.pending) == 0
	}
	return c.addFlight(rec, k), true
}

// deferredIn reports whether a range has deferred offsets. The caller holds mu.
func (c *claim) deferredIn(from, to int64) bool {
	for o := from; o < to; o++ {
		if c.tracker.IsDeferred(o) {
			return true
		}
	}
	return false
}

// closeGap is called where the log has no records from the next one of the pass up to an
// offset. Deleted records are lost. It returns false when the gap must be checked again
// later.
func (c *claim) closeGap(p *pass, to int64) bool {
	c.mu.Lock()
	lacks := c.deferredIn(p.next, to)
	c.mu.Unlock()
	if !lacks {
		p.next = to
		p.done = p.next >= p.to
		return true
	}
	p.forget()
	b, err := c.bounds()
	if err == nil && b.Oldest <= p.next {
		err = errMissing
	}
	if err != nil {
		c.retry(&p.reading, err)
		return false
	}
	c.sub.log.Error("messages were deleted before they could be delivered", slog.Int("partition", int(c.base.Partition)),
		slog.Int("messages", c.giveUp(p.next, min(to, b.Oldest))))
	return true
}

var errMissing = errors.New("records are missing that were there")

// skipDamage gives up deferred records that cannot be read.
func (c *claim) skipDamage(p *pass) bool {
	d := p.damage
	p.damage = nil
	c.sub.damaged(d)
	b, err := c.bounds()
	if to := min(d.Offsets.To, b.End); err == nil && to > p.next {
		if c.giveUp(max(p.next, d.Offsets.From), min(to, p.to)) == 0 {
			p.next = to
			p.done = p.next >= p.to
		}
		return true
	}
	c.retry(&p.reading, d)
	return false
}

// giveUp counts lost deferred records as done. If there are any, the claim starts again,
// because their keys are unknown.
func (c *claim) giveUp(from, to int64) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for o := from; o < to; o++ {
		if c.tracker.IsDeferred(o) {
			c.tracker.Done(o)
			n++
		}
	}
	if n > 0 {
		c.changed()
		c.restart = true
		c.cancel()
	}
	return n
}

func (c *claim) bounds() (infra.Bounds, error) {
	all, err := c.sub.b.log.Bounds(c.ctx, c.base.Topic, time.Time{})
	if err != nil {
		return infra.Bounds{}, err
	}
	b, known := all[c.base.Partition]
	if !known {
		return b, errMissing
	}
	return b, nil
}
