package pubsub

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"eventserver/infra"
	"eventserver/infra/progress"
)

// claim is one ownership of a partition. It hands out messages in offset order, many at
// once, and keeps exactly what is done.
//
// One goroutine (run) reads and hands out, so the order of a key is the order of its
// calls. Messages in flight are bounded by number, by offsets, by key (pass.go), and by
// the memory of all claims (budget.go).
type claim struct {
	sub            *subscription
	follower       *follower // nil: messages come singly
	base           infra.Claim
	ctx            context.Context    // of its messages
	cancel         context.CancelFunc // of ctx
	cancelAttempts context.CancelFunc // ends the attempts that are under way (infra.WithGrace)

	abandoned chan struct{} // closed when the handlers had their time: an ack no longer counts
	wakeup    chan struct{} // run has something to do

	// Of run alone.
	reading     reading // ahead of everything that was read
	pass        *pass   // over deferred records; nil: none
	started     bool    // it has had a message
	alreadyDone doneSet // of infra.Resumed
	timer       *time.Timer
	fullSince   time.Time // since when the window is full; zero: it is not
	stallSince  time.Time // since when it has been full without falling below stallEndShare; zero: it has not
	restart     bool      // start again from what is done
	inRange     bool      // the position is within the partition

	mu           sync.Mutex
	tracker      *progress.Tracker
	keys         map[string]*keyState // keys that have messages in flight or deferred
	deferredKeys map[string]*keyState // those that have deferred ones
	nacked       []*flight            // waiting to be handed out again, by due time
	transit      []*flight            // that the consumer may not have looked at: those of one sendNext, and the last one before
	starved      bool                 // run waits for room in the window
	stallLogged  bool                 // that the window is full
	dirty        bool                 // the keeper knows of new progress
	skippedOnly  bool                 // new progress that need not be kept at once
	final        bool                 // nothing is kept any more: another owner may be at work
	messages     int                  // unacked
	bytes        int                  // that they cost
	text         int                  // bytes of the last position's
	overflow     bool                 // the last position could not hold all that was done
	idle         chan struct{}        // closed by the settlement that leaves nothing in flight, once finish waits
}

// newClaim makes a claim that ends with of and with the subscription.
func newClaim(s *subscription, of infra.Claim, from progress.State) *claim {
	later, cancelAttempts := context.WithCancel(s.values)
	ctx, cancel := context.WithCancel(infra.WithGrace(s.values, later))
	return &claim{
		sub: s, base: of, ctx: ctx, cancel: cancel, cancelAttempts: cancelAttempts,
		abandoned: make(chan struct{}), wakeup: make(chan struct{}, 1),
		reading: reading{account: s.account, next: from.Next},
		tracker: progress.NewTracker(from), keys: map[string]*keyState{}, deferredKeys: map[string]*keyState{},
	}
}

// maxTake is the maximum number of records taken at once.
const maxTake = 64

// run reads until the claim ends.
func (c *claim) run() {
	defer context.AfterFunc(c.base.Context, c.cancel)()
	defer context.AfterFunc(c.sub.closing, c.cancel)()
	defer c.giveBack()
	defer c.release()
	for c.ctx.Err() == nil {
		draining := c.sub.flights.Drained()
		c.resend(draining)
		if draining {
			c.wait(true)
			continue
		}
		found := false
		if !c.isFull() {
			passed := c.sendNext(c.takeDeferred) // first, because deferred records are older
			took := c.sendNext(c.take)
			found = passed || took
		}
		if !found {
			c.wait(false)
		}
	}
}

// sendNext hands out records of one of the two readings. false: there are none now.
func (c *claim) sendNext(of func() ([]*flight, bool)) bool {
	c.mu.Lock()
	last := max(0, len(c.transit)-1)
	clear(c.transit[:last])
	c.transit = c.transit[last:]
	c.mu.Unlock()
	flights, found := of()
	for i, f := range flights {
		if !c.send(f) {
			for _, f := range flights[i:] {
				c.settle(f, false)
			}
			return found
		}
	}
	return found
}

// wake wakes run. The caller may hold mu.
func (c *claim) wake() {
	select {
	case c.wakeup <- struct{}{}:
	default:
	}
	if c.follower != nil {
		c.sub.runner.ready(c.follower)
	}
}

// wait returns when there may be something to do.
func (c *claim) wait(draining bool) {
	var more <-chan struct{}
	stop := c.sub.flights.Draining()
	if draining {
		stop = nil
	} else if c.reading.atEnd {
		more = c.reading.cursor.More()
	}
	var due <-chan time.Time
	if at := c.nextDue(); !at.IsZero() {
		if c.timer == nil {
			c.timer = time.NewTimer(time.Until(at))
		} else {
			c.timer.Reset(time.Until(at))
		}
		due = c.timer.C
		defer c.timer.Stop()
	}
	select {
	case <-c.ctx.Done():
	case <-stop:
	case <-c.wakeup:
	case <-more:
		c.reading.atEnd = false
	case <-due:
	}
}

// nextDue is the time of the next work that no event triggers; zero: there is none.
func (c *claim) nextDue() (at time.Time) {
	earliest := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	c.mu.Lock()
	stallLogged := c.stallLogged
	if len(c.nacked) > 0 {
		earliest(c.nacked[0].due)
	}
	c.mu.Unlock()
	if !c.fullSince.IsZero() { // it reads nothing until there is room
		if c.reading.cursor != nil || c.pass != nil {
			earliest(c.fullSince.Add(fullRelease))
		}
		if !stallLogged {
			earliest(c.stallSince.Add(stallAfter))
		}
		return at
	}
	earliest(c.reading.retryAt)
	if c.pass != nil {
		earliest(c.pass.retryAt)
	}
	return at
}

// take takes the next records of the partition, as far as there is room. It returns false
// when there are none now.
func (c *claim) take() ([]*flight, bool) {
	if len(c.reading.records) == 0 {
		if found := c.fetch(); len(c.reading.records) == 0 {
			return nil, found
		}
	}
	c.begin()
	var out []*flight
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for ; n < min(len(c.reading.records), maxTake) && c.share() < 1; n++ {
		if f := c.takeOne(c.reading.records[n]); f != nil {
			out = append(out, f)
		}
	}
	c.reading.drop(n)
	return out, true
}

// takeOne records that a record was read. It returns nil when the record is done, or when
// its key has no room. The caller holds mu.
func (c *claim) takeOne(rec *infra.Record) *flight {
	open := c.tracker.Add(rec.Offset)
	if open && c.alreadyDone.has(rec) {
		open = false
		c.tracker.Done(rec.Offset)
	}
	if !open {
		c.sub.suppressed.Add(1)
		c.changed()
		return nil
	}
	k := c.keyOf(rec.Key)
	if c.deferIfFull(k, rec.Offset) {
		return nil
	}
	return c.addFlight(rec, k)
}

// addHeld adds to the messages in flight; negative numbers subtract. The caller holds mu.
func (c *claim) addHeld(n, bytes int) {
	c.messages += n
	c.bytes += bytes
	c.sub.account.hold(n, bytes)
}

// setHeld sets the messages in flight of a claim to those of one part.
func (c *claim) setHeld(n, bytes int) { c.addHeld(n-c.messages, bytes-c.bytes) }

// addFlight counts a record as in flight. The caller holds mu.
func (c *claim) addFlight(rec *infra.Record, k *keyState) *flight {
	f := &flight{claim: c, rec: rec, offset: rec.Offset, key: k, size: costOf(rec)}
	c.addHeld(1, f.size)
	k.held++
	c.transit = append(c.transit, f)
	return f
}

const (
	// stallEndShare is the share of the window at which a stall ends, so that a window that
	// stays nearly full is one stall.
	stallEndShare = 0.5
	// fullRelease is the time with a full window until the cursors and the records read
	// ahead are released. A receiver may be down for days.
	fullRelease = time.Second
	// stallAfter is the time with a full window until it is logged. With PartitionOrder it
	// is full during every attempt.
	stallAfter = 30 * time.Second
)

// isFull reports whether the window is full. It logs a stall and its end.
func (c *claim) isFull() bool {
	c.mu.Lock()
	share := c.share()
	if c.sub.account.share() >= 1 {
		c.sub.account.wait(c)
		share = c.share()
	}
	full := share >= 1
	c.starved = full
	changed := false
	switch {
	case share < stallEndShare:
		changed, c.stallLogged, c.stallSince = c.stallLogged, false, time.Time{}
	case full && c.stallSince.IsZero():
		c.stallSince = time.Now()
	case full && !c.stallLogged && time.Since(c.stallSince) >= stallAfter:
		changed, c.stallLogged = true, true
	}
	c.mu.Unlock()
	if changed {
		c.sub.stalled(full)
	}
	switch {
	case !full:
		c.fullSince = time.Time{}
	case c.fullSince.IsZero():
		c.fullSince = time.Now()
	case time.Since(c.fullSince) >= fullRelease:
		c.release()
	}
	return full
}

// release closes the cursors. They are opened again at the same places.
func (c *claim) release() {
	c.reading.close()
	c.closePass()
}

// share is the used share of the window, or of the subscription's memory. The caller holds mu.
func (c *claim) share() float64 {
	cfg := &c.sub.b.cfg
	return max(float64(c.messages)/float64(cfg.WindowMessages), float64(c.tracker.Span())/float64(cfg.WindowSpan), c.sub.account.share())
}

// addTo adds the figures of this partition to the subscriber's Stats.
func (c *claim) addTo(all *infra.Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.follower != nil {
		c.follower.sync()
	}
	all.Messages += c.messages
	for _, k := range c.deferredKeys {
		all.Deferred += k.deferred
	}
	all.MetadataBytes = max(all.MetadataBytes, c.text)
	all.Window = max(all.Window, min(1, c.share()))
}

func (c *claim) deferredOf(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.deferredKeys[key]; k != nil {
		return k.deferred
	}
	return 0
}

// changed tells the keeper that there is progress to keep. The caller holds mu.
func (c *claim) changed() {
	if !c.dirty && !c.final {
		c.dirty = true
		c.sub.keeper.schedule(c)
	}
}

// takePosition returns the position to keep, for the last time when the claim leaves. It returns
// false when nothing has changed.
func (c *claim) takePosition(last bool) (p infra.Progressed, changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.final || !c.dirty {
		c.final = c.final || last
		return p, false
	}
	c.final = last
	c.dirty = false
	at, whole := c.tracker.Position(c.sub.b.codec)
	c.text = len(at.Text)
	if !whole {
		c.sub.metadataFull.Add(1)
		if !c.overflow {
			c.sub.log.Warn("progress full: until the oldest messages are done, a restart repeats some later ones",
				slog.Int("partition", int(c.base.Partition)), slog.Int64("oldest", at.Next))
		}
	}
	c.overflow = !whole
	return infra.Progressed{Group: c.sub.group, Topic: c.base.Topic, Partition: c.base.Partition, Position: at}, true
}

// markDirty records that the marked position was not kept. It returns false when the keeper
// knows that already.
func (c *claim) markDirty() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.dirty
	c.dirty = true
	return !known
}

// state is the state where another claim continues.
func (c *claim) state() progress.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.follower != nil {
		c.follower.sync()
	}
	at, _ := c.tracker.Position(c.sub.b.codec)
	s, _ := c.sub.b.codec.Decode(at.Next, at.Text)
	return s
}
