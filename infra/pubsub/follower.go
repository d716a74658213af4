package pubsub

import (
	"slices"

	"eventserver/infra"
	"eventserver/infra/progress"
)

// follower is a claim of a subscription with runs. It is in one of these phases:
//
//	waiting   the live end is not placed yet               no goroutine
//	there     it gets new records that its group wants     no goroutine
//	behind    it reads for itself until it has caught up   catchUp
//
// It falls behind when records that it has not taken are gone from memory, when a part is
// refused, and to call infra.SubscriberConfig.Resume.
type follower struct {
	claim *claim
	part  *livePart

	// part.mu
	next   int64  // offsets below were taken, or are not wanted
	wanted []mark // wanted records from next on, the first ones
	beyond mark   // the record that follows them; noMark: not known
	seen   int64  // number of the first record that is not counted; -1: that at next
	lost   int    // how many of part.lost the claim went back to

	// claim.mu
	at       phase
	out      bool          // the handlers have a part
	stopping bool          // quiet must be closed
	quiet    chan struct{} // closed when the claim has ended and nothing of it is under way

	// runner.mu
	queued bool
}

type phase int

const (
	waiting phase = iota
	there
	behind
	stopped // catchUp has ended with the claim
	gone    // so has everything else
)

// mark is a record at the live end.
type mark struct{ offset, number int64 }

var noMark = mark{-1, -1}

func newFollower(c *claim, lp *livePart) *follower {
	return &follower{claim: c, part: lp, next: c.tracker.Next(), beyond: noMark, quiet: make(chan struct{})}
}

// position is the first offset that is neither taken nor skipped. The caller holds
// part.mu.
func (f *follower) position() mark {
	switch {
	case len(f.wanted) > 0:
		return f.wanted[0]
	case f.beyond != noMark:
		return f.beyond
	}
	return mark{max(f.next, f.part.end), f.part.read}
}

// note adds a wanted record. It reports whether it is the first one. The caller holds
// part.mu.
func (f *follower) note(m mark) bool {
	switch {
	case f.beyond != noMark:
	case len(f.wanted) < f.claim.sub.cfg.Runs.Messages:
		f.wanted = append(f.wanted, m)
		return len(f.wanted) == 1
	default:
		f.beyond = m
	}
	return false
}

// begin begins the claim.
func (f *follower) begin() {
	lp := f.part
	lp.mu.Lock()
	f.lost = len(lp.lost)
	if !lp.placed {
		lp.waiting[f] = struct{}{}
		lp.mu.Unlock()
		return
	}
	lp.mu.Unlock()
	f.start()
}

// start is begin once the live end is placed.
func (f *follower) start() {
	c := f.claim
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() == nil && !f.join(false) {
		f.at = behind
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
	f.goBack()
	next := c.tracker.Next()
	if c.made.last >= next && c.made.done != nil {
		return false
	}
	if !lp.placed || next < lp.from || !read && next > lp.end {
		return false
	}
	f.at, f.next, f.seen = there, next, -1
	f.wanted, f.beyond = nil, mark{offset: next}
	f.refill()
	lp.there[c.sub] = f
	if len(f.wanted) > 0 {
		c.sub.runner.ready(f)
	}
	return true
}

// short reports whether the partition has become shorter. beyond is where to continue.
// The caller holds part.mu.
func (f *follower) short() bool { return f.lost < len(f.part.lost) }

// goBack makes the claim continue at the end of the partition, when the partition is
// shorter than its progress. The caller holds claim.mu and part.mu.
func (f *follower) goBack() {
	lost := f.part.lost[f.lost:]
	f.lost = len(f.part.lost)
	if len(lost) == 0 {
		return
	}
	c := f.claim
	if end := slices.Min(lost); end < c.tracker.Next() {
		c.tracker = progress.NewTracker(progress.State{Next: end, Note: c.tracker.Note()})
		c.changed()
	}
}

// refill finds the wanted records from beyond on, as far as they are in memory. The caller
// holds part.mu.
func (f *follower) refill() {
	if f.beyond == noMark || f.beyond.offset < f.part.from {
		return
	}
	from := f.part.since(f.beyond.offset)
	f.beyond = noMark
	for i := from; i < len(f.part.entries) && f.beyond == noMark; i++ {
		if e := f.part.entries[i]; f.claim.sub.wants.rec(e.rec) {
			f.note(mark{e.rec.Offset, e.number})
		}
	}
}

// take returns the records to hand out, and the position after them. false: the claim has
// fallen behind. The caller holds part.mu.
func (f *follower) take(most infra.Runs) (out []*entry, to int64, ok bool) {
	lp := f.part
	if f.position().offset < lp.from {
		return nil, 0, false
	}
	bytes := 0
	for _, w := range f.wanted {
		e := lp.entries[lp.since(w.offset)]
		bytes += costOf(e.rec)
		if len(out) == most.Messages || len(out) > 0 && bytes > most.Bytes {
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
	return out, f.pass(len(out)), true
}

// pass moves to the position, and counts the skipped records. The caller holds part.mu.
func (f *follower) pass(taken int) (to int64) {
	if f.seen < 0 {
		f.seen = f.part.numberAt(f.next)
	}
	at := f.position()
	if n := int(at.number-f.seen) - taken; n > 0 {
		f.claim.sub.wants.skipped(n)
	}
	f.next, f.seen = at.offset, at.number
	return at.offset
}

// offer makes a part of the wanted records; nil: there are none. Only runner calls it.
func (f *follower) offer() *part {
	c := f.claim
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil || f.at != there || f.out {
		return nil
	}
	f.part.mu.Lock()
	if len(f.wanted) == 0 && f.beyond == noMark || c.lacksRoom() {
		f.part.mu.Unlock()
		return nil
	}
	var got []*entry
	to, here := int64(0), false
	if f.short() {
		f.goBack()
	} else if c.begun || !c.asks() {
		got, to, here = f.take(c.most())
	}
	f.part.mu.Unlock()
	if !here {
		f.fallBehind(nil)
		return nil
	}
	p := &part{claim: c, recs: make([]*infra.Record, len(got)), live: got}
	bytes := 0
	for i, e := range got {
		p.recs[i] = e.rec
		c.tracker.Add(e.rec.Offset)
		bytes += costOf(e.rec)
	}
	c.holdsOnly(len(got), bytes)
	c.tracker.PassOver(to)
	f.out = true
	return p
}

// settled continues after the end of a part.
func (f *follower) settled(p *part, done bool) {
	c := f.claim
	c.mu.Lock()
	f.out = false
	switch {
	case done:
	case c.ctx.Err() != nil || c.sub.flights.Drained(): // it is the next owner's
		c.holdsOnly(0, 0)
	default:
		f.fallBehind(p.recs)
	}
	f.hush()
	ready := f.at == there
	c.mu.Unlock()
	if ready {
		c.sub.runner.ready(f)
	}
}

// fallBehind makes the claim read for itself. It hands out first before that. The caller
// holds claim.mu.
func (f *follower) fallBehind(first []*infra.Record) {
	f.leave()
	f.at = behind
	go f.catchUp(first)
}

// leave removes the claim from the live end, and records its position. The caller holds
// claim.mu.
func (f *follower) leave() {
	f.sync()
	lp := f.part
	lp.mu.Lock()
	defer lp.mu.Unlock()
	if lp.there[f.claim.sub] == f {
		delete(lp.there, f.claim.sub)
	}
	delete(lp.waiting, f)
}

// sync records what was skipped at the live end. The caller holds claim.mu.
func (f *follower) sync() {
	c := f.claim
	if f.at != there || c.tracker.Span() > 0 {
		return
	}
	f.part.mu.Lock()
	defer f.part.mu.Unlock()
	if !f.short() && f.position().offset > c.tracker.Next() {
		c.tracker.PassOver(f.pass(0))
		c.skipped = true
	}
}

// hush ends the claim if it must end and has nothing in flight. The caller holds
// claim.mu.
func (f *follower) hush() {
	if f.stopping && !f.out && f.at != behind && f.at != gone {
		f.leave()
		f.at = gone
		close(f.quiet)
	}
}

// end is called when the claim's context has ended. It returns when nothing of the claim
// is in flight.
func (f *follower) end() {
	c := f.claim
	c.mu.Lock()
	f.stopping = true
	f.hush()
	c.mu.Unlock()
	<-f.quiet
	c.keepSkipped()
	c.sub.live.done(f.part)
}

// keepSkipped keeps a position that only skipped records moved.
func (c *claim) keepSkipped() {
	if c.isLost() { // the next owner is at work
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.follower.sync()
	if c.skipped {
		c.skipped = false
		c.changed()
	}
}
