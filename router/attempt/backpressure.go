package attempt

import (
	"sync"

	"eventserver/infra"
)

// aheadMost is how many deliveries the transform stage stores for a destination that
// takes none. They keep its attempts busy until the transform stage has caught up.
const aheadMost = 1000

// Backpressure stops the transform stage of a destination while no attempt may start,
// once enough deliveries wait for it. The events that follow stay in the topic of events,
// which stores them once for all destinations.
//
//	attempts start            transforms everything
//	none may, few are stored  transforms up to aheadMost deliveries more
//	none may, enough are      the handler keeps its run, and the subscriber reads no other
type Backpressure struct {
	mu     sync.Mutex
	reason string // why no attempt may start, metrics.Wait...; "": one may
	stored int    // deliveries since then, but for those that more allowed
	source infra.Subscriber
	opened chan struct{} // not nil: aheadMost were stored, and source is bounded; closed when those who wait should ask again
}

// Attach sets the subscriber of the transform stage.
func (b *Backpressure) Attach(source infra.Subscriber) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.source = source
	if b.opened != nil {
		source.Bound(1)
	}
}

// set takes why no attempt may start. The caller holds the scheduler's lock.
func (b *Backpressure) set(reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.reason
	b.reason = reason
	switch {
	case reason == was:
	case was == "":
		b.stored = 0
	case b.opened == nil:
	case reason == "":
		close(b.opened)
		b.opened = nil
		b.source.Bound(0)
	default: // those who wait tell what for
		b.ring()
	}
}

// ring has those who wait ask again. The caller holds mu.
func (b *Backpressure) ring() {
	close(b.opened)
	b.opened = make(chan struct{})
}

// more allows a stopped stage so many deliveries more. Those that it stored failed, and
// deliveries of other users may succeed.
func (b *Backpressure) more(deliveries int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if deliveries == 0 || b.opened == nil {
		return
	}
	b.stored = min(b.stored, aheadMost-deliveries)
	b.ring()
}

// Add counts deliveries that were stored.
func (b *Backpressure) Add(deliveries int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reason == "" {
		return
	}
	b.stored += deliveries
	if b.stored >= aheadMost && b.opened == nil {
		b.opened = make(chan struct{})
		b.source.Bound(1)
	}
}

// Stopped is why the stage is stopped, and the channel that is closed when it may go on;
// "": it is not.
func (b *Backpressure) Stopped() (reason string, opened <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.opened == nil || b.stored < aheadMost {
		return "", nil
	}
	return b.reason, b.opened
}
