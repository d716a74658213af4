package memory

import (
	"context"
	"sync"
	"time"

	"eventserver/infra"
)

// claim is the ownership of one partition. It hands out messages in offset
// order, many at once; every message's context ends with it.
type claim struct {
	sub    *subscription
	group  *group
	n      int // partition
	ctx    context.Context
	cancel context.CancelFunc
	woken  chan struct{} // there may be something to hand out
	gone   chan struct{} // closed when handlers had their time: an ack no longer counts

	waiting sync.WaitGroup // one for each message that awaits its settlement

	// Guarded by Broker.mu.
	next    int64              // offset to look at next
	read    int64              // everything below was looked at; next may be lower, for what was passed over
	unacked map[int64]struct{} // offsets in flight
	keys    map[string]*keyState
}

// keyState is one key of a claim.
type keyState struct {
	held    int   // messages in flight
	skipped int64 // offset of the first record passed over because held was at its bound; -1: none
}

func (c *claim) wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

func (c *claim) run() {
	for c.ctx.Err() == nil {
		if rec, offset, ok := c.take(); ok {
			c.handOut(rec, offset)
			continue
		}
		select {
		case <-c.ctx.Done():
		case <-c.woken:
		}
	}
	c.finish()
	c.group.released(c.n)
}

// take returns the next record that is not done, if the window has room.
func (c *claim) take() (record, int64, bool) {
	b := c.group.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	p, cur := c.group.topic.parts[c.n], c.group.cursors[c.n]
	if c.sub.flights.Drained() || len(c.unacked) >= b.cfg.WindowMessages {
		return record{}, 0, false
	}
	c.next = max(c.next, cur.low) // low may have jumped over what an earlier owner did
	for c.next < p.end() {
		offset := c.next
		c.next++
		c.read = max(c.read, c.next)
		if _, done := cur.done[offset]; done {
			continue
		}
		if _, flying := c.unacked[offset]; flying { // we went back for a key that was passed over
			continue
		}
		rec := p.log[offset-p.base]
		if c.hold(rec.key, offset) {
			c.unacked[offset] = struct{}{}
			return rec, offset, true
		}
	}
	return record{}, 0, false
}

// addTo adds what this partition holds to the subscriber's Stats. The caller
// holds Broker.mu.
func (c *claim) addTo(all *infra.Stats) {
	cur := c.group.cursors[c.n]
	all.Messages += len(c.unacked)
	if read := int(c.read - cur.low); read > 0 {
		all.Deferred += max(0, read-len(cur.done)-len(c.unacked))
	}
	all.Window = max(all.Window, min(1, float64(len(c.unacked))/float64(c.group.broker.cfg.WindowMessages)))
}

// deferredOf counts the records of key that were passed over. The caller holds
// Broker.mu.
func (c *claim) deferredOf(key string) (n int) {
	p, cur := c.group.topic.parts[c.n], c.group.cursors[c.n]
	for offset := max(cur.low, p.base); offset < c.read; offset++ {
		_, done := cur.done[offset]
		_, flying := c.unacked[offset]
		if !done && !flying && p.log[offset-p.base].key == key {
			n++
		}
	}
	return n
}

// hold counts one more message of key; false when the key has to wait. A
// message without a key waits for none.
func (c *claim) hold(key string, offset int64) bool {
	k := c.keys[key]
	if k == nil {
		k = &keyState{skipped: -1}
		c.keys[key] = k
	}
	if k.skipped >= 0 {
		return false
	}
	if key != "" && k.held >= c.group.broker.cfg.WindowKey {
		k.skipped = offset
		return false
	}
	k.held++
	return true
}

// drop counts one message of key less. When half of what it may hold is done,
// the claim goes back for what it passed over.
func (c *claim) drop(key string, offset int64) {
	delete(c.unacked, offset)
	k := c.keys[key]
	k.held--
	if k.skipped >= 0 && k.held <= c.group.broker.cfg.WindowKey/2 {
		c.next = min(c.next, k.skipped)
		k.skipped = -1
	}
	if k.held == 0 && k.skipped < 0 {
		delete(c.keys, key)
	}
}

func (c *claim) handOut(rec record, offset int64) {
	if h := c.send(rec, offset); h != nil {
		c.waiting.Go(func() { c.await(rec, offset, h) })
	}
}

// handed is a message in the hands of the handlers.
type handed struct {
	acked, nacked <-chan struct{}
	cancel        context.CancelFunc
}

// send gives the handlers a message of their own; nil when it was not taken.
func (c *claim) send(rec record, offset int64) *handed {
	if c.ctx.Err() != nil || !c.sub.flights.Begin() {
		return nil
	}
	msg := rec.message(c.group.topic.name, c.n, offset)
	ctx, cancel := context.WithCancel(c.ctx)
	h := &handed{msg.Acked(), msg.Nacked(), cancel}
	if c.sub.receipts {
		acked, nacked := make(chan struct{}), make(chan struct{})
		h.acked, h.nacked = acked, nacked
		ctx = infra.WithReceipt(ctx, func(ok bool) {
			if ok {
				close(acked)
			} else {
				close(nacked)
			}
		})
	}
	msg.SetContext(ctx)
	select {
	case c.sub.out <- msg:
		return h
	case <-c.ctx.Done():
	case <-c.sub.flights.Draining():
	}
	cancel()
	c.sub.flights.End()
	return nil
}

// await follows a message to its Ack. A Nack brings it again after a pause,
// unless the claim ended or the subscriber drains: then the next owner has it.
func (c *claim) await(rec record, offset int64, h *handed) {
	for h != nil {
		select {
		case <-h.acked:
			c.settle(rec.key, offset)
			h.cancel()
			c.sub.flights.End()
			return
		case <-c.gone:
			h.cancel()
			c.sub.flights.End()
			return
		case <-h.nacked:
			h.cancel()
			c.sub.flights.End()
		}
		pause := time.NewTimer(c.group.broker.cfg.NackDelay)
		select {
		case <-c.ctx.Done():
		case <-c.sub.flights.Draining():
		case <-pause.C:
		}
		pause.Stop()
		h = c.send(rec, offset)
	}
}

func (c *claim) settle(key string, offset int64) {
	b := c.group.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	c.drop(key, offset)
	c.group.cursors[c.n].settle(offset)
	t := c.group.topic
	t.trim(c.n, b.cfg.MaxMessages/len(t.parts))
	c.wake()
}

// finish waits for the handlers, whose contexts have ended, for a bounded time.
func (c *claim) finish() {
	c.cancel()
	b := c.group.broker
	b.mu.Lock()
	release := b.release
	b.mu.Unlock()
	late := time.AfterFunc(release, func() { close(c.gone) })
	c.waiting.Wait()
	late.Stop()
}
