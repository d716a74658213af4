package pubsub

import (
	"slices"

	"eventserver/infra"
	"eventserver/infra/progress"
)

// follower is a claim of a subscription with runs. It is in one of these phases:
//
//	phaseWaiting   the first position of the live end is not known   no goroutine
//	phaseLive      it gets new records that its group wants           no goroutine
//	phaseCatchUp   it reads for itself until it has caught up         catchUp
//
// It falls behind when records that it has not taken are gone from memory, when a part is
// refused, and to call infra.SubscriberConfig.Resume.
type follower struct {
	claim *claim
	part  *livePart

	// part.mu
	next            int64       // offsets below were taken, or are not wanted
	wanted          []recordRef // wanted records from next on, the first ones
	resumeAt        recordRef   // the record that follows them; noRecord: not known
	counted         int64       // number of the first record that is not counted; -1: that at next
	truncationsSeen int         // how many of part.truncations the claim went back to

	// claim.mu
	phase    phase
	inRun    bool          // the handlers have a part
	stopping bool          // done must be closed
	done     chan struct{} // closed when the claim has ended and nothing of it is under way

	// runner.mu
	queued bool
}

type phase int

const (
	phaseWaiting phase = iota
	phaseLive
	phaseCatchUp
	phaseStopped // catchUp has ended with the claim
	phaseEnded   // so has everything else
)

// recordRef is a record at the live end.
type recordRef struct{ offset, number int64 }

var noRecord = recordRef{-1, -1}

func newFollower(c *claim, lp *livePart) *follower {
	return &follower{claim: c, part: lp, next: c.tracker.Next(), resumeAt: noRecord, done: make(chan struct{})}
}

// position is the first offset that is neither taken nor skipped. The caller holds
// part.mu.
func (f *follower) position() recordRef {
	switch {
	case len(f.wanted) > 0:
		return f.wanted[0]
	case f.resumeAt != noRecord:
		return f.resumeAt
	}
	return recordRef{max(f.next, f.part.end), f.part.read}
}

// addWanted adds a wanted record. It reports whether it is the first one. The caller holds
// part.mu.
func (f *follower) addWanted(m recordRef) bool {
	switch {
	case f.resumeAt != noRecord:
	case len(f.wanted) < f.claim.sub.cfg.Runs.Messages:
		f.wanted = append(f.wanted, m)
		return len(f.wanted) == 1
	default:
		f.resumeAt = m
	}
	return false
}

// attach begins the claim, at the live end if that is positioned.
func (f *follower) attach() {
	lp := f.part
	lp.mu.Lock()
	f.truncationsSeen = len(lp.truncations)
	if !lp.positioned {
		lp.waiting[f] = struct{}{}
		lp.mu.Unlock()
		return
	}
	lp.mu.Unlock()
	f.joinOrCatchUp()
}

// joinOrCatchUp is attach once the live end is positioned.
func (f *follower) joinOrCatchUp() {
	c := f.claim
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() == nil && !f.join(false) {
		f.phase = phaseCatchUp
		go f.catchUp(nil)
	}
}

// join moves the claim to the live end, if that has everything from its position on.
// read says that the position is within the partition. The caller holds claim.mu.
func (f *follower) join(read bool) bool {
	c, lp := f.claim, f.part
	if !c.tracker.Clean() {
		return false
	}
	lp.mu.Lock()
	defer lp.mu.Unlock()
	f.rewind()
	next := c.tracker.Next()
	if c.alreadyDone.last >= next && c.alreadyDone.done != nil {
		return false
	}
	if !lp.positioned || next < lp.from || !read && next > lp.end {
		return false
	}
	f.phase, f.next, f.counted = phaseLive, next, -1
	f.wanted, f.resumeAt = nil, recordRef{offset: next}
	f.refill()
	lp.followers[c.sub] = f
	if len(f.wanted) > 0 {
		c.sub.runner.ready(f)
	}
	return true
}

// truncated reports whether the partition has become shorter. resumeAt is where to continue.
// The caller holds part.mu.
func (f *follower) truncated() bool { return f.truncationsSeen < len(f.part.truncations) }

// rewind makes the claim continue at the end of the partition, when the partition is
// shorter than its progress. The caller holds claim.mu and part.mu.
func (f *follower) rewind() {
	truncations := f.part.truncations[f.truncationsSeen:]
	f.truncationsSeen = len(f.part.truncations)
	if len(truncations) == 0 {
		return
	}
	c := f.claim
	if end := slices.Min(truncations); end < c.tracker.Next() {
		c.tracker = progress.NewTracker(progress.State{Next: end, Note: c.tracker.Note()})
		c.changed()
	}
}

// refill finds the wanted records from resumeAt on, as far as they are in memory. The caller
// holds part.mu.
func (f *follower) refill() {
	if f.resumeAt == noRecord || f.resumeAt.offset < f.part.from {
		return
	}
	from := f.part.indexOf(f.resumeAt.offset)
	f.resumeAt = noRecord
	for i := from; i < len(f.part.entries) && f.resumeAt == noRecord; i++ {
		if e := f.part.entries[i]; f.claim.sub.filter.matches(e.rec) {
			f.addWanted(recordRef{e.rec.Offset, e.number})
		}
	}
}

// take returns the records to hand out, and the position after them. false: the claim has
// fallen behind. The caller holds part.mu.
func (f *follower) take(limit infra.Runs) (out []*entry, to int64, ok bool) {
	lp := f.part
	if f.position().offset < lp.from {
		return nil, 0, false
	}
	bytes := 0
	for _, w := range f.wanted {
		e := lp.entries[lp.indexOf(w.offset)]
		bytes += costOf(e.rec)
		if len(out) == limit.Messages || len(out) > 0 && bytes > limit.Bytes {
			break
		}
		out = append(out, e)
	}
	if len(out) < len(f.wanted) {
		f.wanted = f.wanted[len(out):]
	} else {
		f.wanted = nil
		f.refill()
	}
	return out, f.advance(len(out)), true
}

// advance moves to the position, and counts the skipped records. The caller holds part.mu.
func (f *follower) advance(taken int) (to int64) {
	if f.counted < 0 {
		f.counted = f.part.numberAt(f.next)
	}
	at := f.position()
	if n := int(at.number-f.counted) - taken; n > 0 {
		f.claim.sub.filter.onSkipped(n)
	}
	f.next, f.counted = at.offset, at.number
	return at.offset
}

// offer makes a part of the wanted records; nil: there are none. Only runner calls it.
func (f *follower) offer() *part {
	c := f.claim
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil || f.phase != phaseLive || f.inRun {
		return nil
	}
	f.part.mu.Lock()
	if len(f.wanted) == 0 && f.resumeAt == noRecord || c.lacksRoom() {
		f.part.mu.Unlock()
		return nil
	}
	var got []*entry
	to, here := int64(0), false
	if f.truncated() {
		f.rewind()
	} else if c.started || !c.canResume() {
		got, to, here = f.take(c.partLimit())
	}
	f.part.mu.Unlock()
	if !here {
		f.startCatchUp(nil)
		return nil
	}
	p := &part{claim: c, recs: make([]*infra.Record, len(got)), live: got}
	bytes := 0
	for i, e := range got {
		p.recs[i] = e.rec
		c.tracker.Add(e.rec.Offset)
		bytes += costOf(e.rec)
	}
	c.setHeld(len(got), bytes)
	c.tracker.PassOver(to)
	f.inRun = true
	return p
}

// partEnded continues after the end of a part.
func (f *follower) partEnded(p *part, done bool) {
	c := f.claim
	c.mu.Lock()
	f.inRun = false
	switch {
	case done:
	case c.ctx.Err() != nil || c.sub.flights.Drained(): // it is the next owner's
		c.setHeld(0, 0)
	default:
		f.startCatchUp(p.recs)
	}
	f.endIfIdle()
	ready := f.phase == phaseLive
	c.mu.Unlock()
	if ready {
		c.sub.runner.ready(f)
	}
}

// startCatchUp makes the claim read for itself. It hands out first before that. The caller
// holds claim.mu.
func (f *follower) startCatchUp(first []*infra.Record) {
	f.leave()
	f.phase = phaseCatchUp
	go f.catchUp(first)
}

// leave removes the claim from the live end, and records its position. The caller holds
// claim.mu.
func (f *follower) leave() {
	f.sync()
	lp := f.part
	lp.mu.Lock()
	defer lp.mu.Unlock()
	if lp.followers[f.claim.sub] == f {
		delete(lp.followers, f.claim.sub)
	}
	delete(lp.waiting, f)
}

// sync records what was skipped at the live end. The caller holds claim.mu.
func (f *follower) sync() {
	c := f.claim
	if f.phase != phaseLive || c.tracker.Span() > 0 {
		return
	}
	f.part.mu.Lock()
	defer f.part.mu.Unlock()
	if !f.truncated() && f.position().offset > c.tracker.Next() {
		c.tracker.PassOver(f.advance(0))
		c.skippedOnly = true
	}
}

// endIfIdle ends the claim if it must end and has nothing in flight. The caller holds
// claim.mu.
func (f *follower) endIfIdle() {
	if f.stopping && !f.inRun && f.phase != phaseCatchUp && f.phase != phaseEnded {
		f.leave()
		f.phase = phaseEnded
		close(f.done)
	}
}

// stop is called when the claim's context has ended. It returns when nothing of the claim
// is in flight.
func (f *follower) stop() {
	c := f.claim
	c.mu.Lock()
	f.stopping = true
	f.endIfIdle()
	c.mu.Unlock()
	<-f.done
	c.keepSkipped()
	c.sub.live.leavePart(f.part)
}

// keepSkipped keeps a position that only skipped records moved.
func (c *claim) keepSkipped() {
	if c.isLost() { // the next owner is at work
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.follower.sync()
	if c.skippedOnly {
		c.skippedOnly = false
		c.changed()
	}
}
