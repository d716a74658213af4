package pubsub

import (
	"bytes"
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// flight is one message in flight, until it is acked or its claim ends.
type flight struct {
	claim  *claim
	rec    *infra.Record    // nil once msg is there
	msg    *message.Message // with a receipt: the consumer's message
	offset int64
	key    *keyState
	size   int
	stale  bool               // one before it of its key was given back while this one was on its way; claim.mu
	cancel context.CancelFunc // ends the message's context; nil where that is the claim's
	due    time.Time          // when it is nacked: time to hand it out again
}

// send gives the handlers a message. false: the claim has ended, or the subscriber drains.
// The message's context ends with the claim, or when the message is settled. With a
// receipt it ends with the claim alone, so that many messages share one context.
func (c *claim) send(f *flight) bool {
	if c.ctx.Err() != nil || !c.sub.flights.Begin() {
		return false
	}
	msg := f.message()
	select {
	case c.sub.out <- msg:
		if !c.sub.cfg.Receipts {
			go c.await(msg, f)
		}
		return true
	case <-c.ctx.Done():
	case <-c.sub.flights.Draining():
	}
	c.endFlight(f)
	return false
}

// message makes the message. With a receipt it has no channels, and shares nothing with
// the record, which is then not needed any more.
func (f *flight) message() (msg *message.Message) {
	if !f.claim.sub.cfg.Receipts {
		msg = read(f.rec) // new at each delivery, without a middleware's changes to the last one
		var ctx context.Context
		ctx, f.cancel = context.WithCancel(f.claim.ctx)
		msg.SetContext(ctx)
		return msg
	}
	if f.msg == nil {
		msg = readUnacked(f.rec)
		msg.Payload = bytes.Clone(msg.Payload)
		f.rec = nil
	} else {
		msg = infra.Unacked(f.msg.UUID, f.msg.Payload, f.msg.Metadata)
	}
	msg.SetContext(infra.WithReceipt(f.claim.ctx, f))
	f.msg = msg
	return msg
}

// Settled implements infra.Receipt.
func (f *flight) Settled(acked bool) { f.claim.complete(f, acked) }

// GiveBack implements infra.Receipt. The message becomes a deferred record.
func (f *flight) GiveBack() {
	c := f.claim
	c.mu.Lock()
	c.deferSent(f)
	c.removeFlight(f)
	c.mu.Unlock()
	c.endFlight(f)
}

// Stale implements infra.Receipt.
func (f *flight) Stale() bool {
	f.claim.mu.Lock()
	defer f.claim.mu.Unlock()
	return f.stale
}

// endFlight ends the message's context and its part in a drain.
func (c *claim) endFlight(f *flight) {
	if f.cancel != nil {
		f.cancel()
	}
	c.sub.flights.End()
}

// await watches a message of a consumer that uses no receipts.
func (c *claim) await(msg *message.Message, f *flight) {
	select {
	case <-msg.Acked():
		c.complete(f, true)
	case <-msg.Nacked():
		c.complete(f, false)
	case <-c.abandoned:
		c.settle(f, false)
		c.endFlight(f)
	}
}

// complete handles the handler's ack or nack. A nacked message is handed out again after a pause. When
// the claim has ended or the subscriber drains, the next owner gets it.
func (c *claim) complete(f *flight, acked bool) {
	if !acked && c.queue(f) {
		c.endFlight(f)
		return
	}
	c.settle(f, acked) // before endFlight: a drain ends when all is counted
	c.endFlight(f)
}

// queue makes run hand the message out again; false: run has ended.
func (c *claim) queue(f *flight) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil || c.sub.flights.Drained() {
		return false
	}
	f.due = time.Now().Add(c.sub.b.cfg.NackDelay)
	c.nacked = append(c.nacked, f)
	c.wake()
	return true
}

// resend hands out the nacked messages whose pause is over. When the subscriber drains it
// gives all back.
func (c *claim) resend(draining bool) {
	for {
		c.mu.Lock()
		if len(c.nacked) == 0 || !draining && time.Until(c.nacked[0].due) > 0 {
			c.mu.Unlock()
			return
		}
		f := c.nacked[0]
		c.nacked[0] = nil
		c.nacked = c.nacked[1:]
		c.mu.Unlock()
		c.sendNext(func() ([]*flight, bool) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.transit = append(c.transit, f)
			return []*flight{f}, true
		})
	}
}

// giveBack leaves the nacked messages to the next owner. There are no new ones, since the
// claim's context has ended.
func (c *claim) giveBack() {
	c.mu.Lock()
	nacked := c.nacked
	c.nacked = nil
	c.mu.Unlock()
	for _, f := range nacked {
		c.settle(f, false)
	}
}

// settle ends a message's flight; done or not.
func (c *claim) settle(f *flight, acked bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if acked {
		c.tracker.Done(f.offset)
		c.changed()
	}
	c.removeFlight(f)
}

// removeFlight counts a message as in flight no longer. The caller holds mu.
func (c *claim) removeFlight(f *flight) {
	c.addHeld(-1, -f.size)
	k := f.key
	k.held--
	if k.held == 0 && k.deferred == 0 {
		delete(c.keys, k.name)
	}
	if c.messages == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
	if k.deferred > 0 && c.keyHasRoom(k) || c.starved && c.share() < 1 || c.stallLogged && c.share() < stallEndShare {
		c.wake()
	}
}
