package kafka

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/IBM/sarama"
)

// A key that has WindowKey messages in flight gets no more: those that follow
// are deferred, that is read past and dropped from memory, so that a user with
// a hundred thousand queued events takes a bounded part of the window and the
// reading goes on for the others. When half of them are done, a second reader
// goes back to where the key's deferred ones begin and hands them out, in order.

// keyState is one key of a claim. It is guarded by claim.mu.
type keyState struct {
	held     int   // messages in flight
	deferred int   // records read past
	first    int64 // no deferred record of the key lies below
}

func (c *claim) keyOf(key string) *keyState {
	k := c.keys[key]
	if k == nil {
		k = &keyState{}
		c.keys[key] = k
	}
	return k
}

// deferOver defers a record of a key that holds as much as it may, or that has
// deferred ones, which come first. Records without a key, written by other
// programs, have no order and no bound of their own. The caller holds mu.
func (c *claim) deferOver(key string, offset int64) bool {
	k := c.keys[key]
	if key == "" || k == nil || (k.held < c.sub.broker.cfg.WindowKey && k.deferred == 0) {
		return false
	}
	if k.deferred == 0 {
		k.first = offset
		c.behind[key] = k
	}
	k.deferred++
	c.tracker.Defer(offset)
	return true
}

// wants reports whether the key has room for half of what it may hold.
func (c *claim) wants(k *keyState) bool { return k.held <= c.sub.broker.cfg.WindowKey/2 }

// backfill is one pass over records that were read past.
type backfill struct {
	from, to int64 // offsets
	out      chan *sarama.ConsumerMessage
	cancel   context.CancelFunc
	wanting  map[string]struct{} // keys that it is for and has not served yet
	full     map[string]struct{} // keys of which it has seen a record and could not hand it out
}

// records is what to receive from; nil, which blocks, when there is nothing to
// read or no room.
func (b *backfill) records(paused bool) <-chan *sarama.ConsumerMessage {
	if b == nil || paused {
		return nil
	}
	return b.out
}

// openBackfill starts a pass when a key has room for what it deferred.
func (c *claim) openBackfill(draining bool) {
	if c.backfill != nil || draining {
		return
	}
	c.mu.Lock()
	if len(c.behind) == 0 {
		c.mu.Unlock()
		return
	}
	b := &backfill{to: c.tracker.Next(), wanting: map[string]struct{}{}, full: map[string]struct{}{}}
	for key, k := range c.behind {
		if !c.wants(k) {
			continue
		}
		if len(b.wanting) == 0 || k.first < b.from {
			b.from = k.first
		}
		b.wanting[key] = struct{}{}
	}
	c.mu.Unlock()
	if len(b.wanting) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	b.cancel, b.out = cancel, make(chan *sarama.ConsumerMessage)
	c.backfill = b
	go c.readBack(ctx, b)
}

func (c *claim) closeBackfill() {
	if c.backfill != nil {
		c.backfill.cancel()
		c.backfill = nil
	}
}

func (c *claim) refillOrClose(rec *sarama.ConsumerMessage, ok bool) {
	if ok {
		c.refill(rec)
	} else {
		c.closeBackfill()
	}
}

// refill hands out a record of the pass when it is the key's next one. The
// pass ends when every key that it is for has what it may hold.
func (c *claim) refill(rec *sarama.ConsumerMessage) {
	b := c.backfill
	key := string(rec.Key)
	c.mu.Lock()
	if !c.tracker.IsDeferred(rec.Offset) {
		c.mu.Unlock()
		return
	}
	k := c.keys[key]
	_, passed := b.full[key]
	switch {
	case passed || k.first < b.from: // an earlier one was not handed out
		c.mu.Unlock()
		return
	case k.held >= c.sub.broker.cfg.WindowKey:
		k.first = rec.Offset
		b.full[key] = struct{}{}
		delete(b.wanting, key)
		c.mu.Unlock()
	default:
		c.tracker.TakeUp(rec.Offset)
		k.first = rec.Offset + 1
		if k.deferred--; k.deferred == 0 {
			delete(c.behind, key)
			delete(b.wanting, key)
		}
		c.mu.Unlock()
		c.handOut(rec, key)
	}
	if len(b.wanting) == 0 {
		c.closeBackfill()
	}
}

// readBack reads the pass's offsets into its channel and closes it at the end,
// or at an error: the keys still want, so another pass begins.
func (c *claim) readBack(ctx context.Context, b *backfill) {
	defer close(b.out)
	err := c.readRange(ctx, b)
	switch {
	case err == nil || ctx.Err() != nil:
		c.patience.Store(0)
		return
	case errors.Is(err, sarama.ErrOffsetOutOfRange):
		c.lose(b)
	}
	const most = 10 * time.Second
	wait := min(max(2*time.Duration(c.patience.Load()), c.sub.broker.cfg.NackDelay), most)
	c.patience.Store(int64(wait))
	c.sub.log.Warn("cannot read deferred messages; trying again", slog.Int("partition", int(c.partition)),
		slog.Any("error", err), slog.Duration("wait", wait))
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (c *claim) readRange(ctx context.Context, b *backfill) error {
	pc, err := c.sub.broker.readers.open(c.topic, c.partition, b.from)
	if err != nil {
		return err
	}
	defer pc.close()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err, ok := <-pc.Errors():
			if !ok {
				return errors.New("the partition's reader ended")
			}
			return err
		case rec, ok := <-pc.Messages():
			if !ok {
				return errors.New("the partition's reader ended")
			}
			if rec.Offset >= b.to {
				return nil
			}
			select {
			case b.out <- rec:
			case <-ctx.Done():
				return ctx.Err()
			}
			if rec.Offset == b.to-1 {
				return nil
			}
		}
	}
}

// lose gives up deferred records that the cluster's retention has deleted, and
// ends the claim: whose they were is no longer known, so it is read anew.
func (c *claim) lose(b *backfill) {
	oldest, err := c.sub.broker.client.GetOffset(c.topic, c.partition, sarama.OffsetOldest)
	if err != nil {
		return // another pass meets it again
	}
	c.mu.Lock()
	lost := 0
	for offset := c.tracker.Low(); offset < min(oldest, b.to); offset++ {
		if c.tracker.IsDeferred(offset) || c.tracker.IsOpen(offset) { // the open ones end with the claim
			lost++
		}
	}
	for offset := c.tracker.Low(); offset < min(oldest, b.to); offset++ {
		c.tracker.Done(offset)
	}
	c.dirty = true
	c.mu.Unlock()
	c.sub.log.Error("messages were deleted by the topic's retention before they could be delivered; raise broker.retention",
		slog.Int("partition", int(c.partition)), slog.Int("messages", lost))
	c.end()
}
