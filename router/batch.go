package router

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"eventserver/destinations"
)

// Batch lets a destination take several deliveries in one attempt. They are of
// different keys: a key has one event in an attempt at a time, batch or not.
type Batch struct {
	MaxEvents int           // deliveries of an attempt; 0 and 1: no batches
	MaxWait   time.Duration // for more to come after the first; default 5 ms
	MaxBytes  int           // of their bodies; default 1 MiB
}

// WithDefaults fills in what is zero.
func (b Batch) WithDefaults() Batch {
	if b.MaxWait <= 0 {
		b.MaxWait = 5 * time.Millisecond
	}
	if b.MaxBytes <= 0 {
		b.MaxBytes = 1 << 20
	}
	return b
}

func (b Batch) on() bool { return b.MaxEvents > 1 }

// batchFault is the failure of a batch of several. Whose fault it was is not
// known, so it spends no attempt of any of them, and each is tried next by
// itself. It has no Unwrap: a final answer to a batch is no final answer to
// each of its events. To the breaker a batch is one attempt: votes is true at
// one of its events.
type batchFault struct {
	err   error
	votes bool
}

func (f *batchFault) Error() string { return "an attempt of a batch: " + f.err.Error() }

// batcher gathers attempts that begin at about the same time into one call.
// Each caller waits for the call's end: nothing outlives its attempt.
type batcher struct {
	Batch
	dest     destinations.Batcher
	timeout  time.Duration // of one call
	slots    chan struct{} // calls at once
	draining <-chan struct{}

	mu   sync.Mutex
	open *batch // gathering; nil: none
}

// batch is one call.
type batch struct {
	deliveries []destinations.Delivery
	bytes      int
	ctx        context.Context
	cancel     context.CancelFunc
	timer      *time.Timer
	done       chan struct{} // closed when err is set
	err        error
}

// deliver joins a batch and returns its result. When ctx ends the whole batch
// is cancelled, and waited for: a request of this attempt must not be on its
// way when the event's next owner makes another.
func (b *batcher) deliver(ctx context.Context, d destinations.Delivery) error {
	bt := b.join(d)
	select {
	case <-bt.done:
	case <-ctx.Done():
		bt.cancel()
		b.flush(bt)
		<-bt.done
	case <-b.draining: // nothing more will come
		b.flush(bt)
		select {
		case <-bt.done:
		case <-ctx.Done():
			bt.cancel()
			<-bt.done
		}
	}
	switch {
	case bt.err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case len(bt.deliveries) == 1:
		return bt.err
	}
	progressOf(ctx).alone = true
	cancelled := errors.Is(bt.err, context.Canceled) // another one's claim ended: nobody failed
	return &batchFault{err: bt.err, votes: !cancelled && bt.deliveries[0].ID == d.ID}
}

// single makes an attempt of one delivery, within the same limit of calls.
func (b *batcher) single(ctx context.Context, d destinations.Delivery) error {
	bt := &batch{deliveries: []destinations.Delivery{d}, ctx: ctx}
	return b.call(bt)
}

func (b *batcher) join(d destinations.Delivery) *batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open != nil && b.open.bytes+len(d.Payload.Body) > b.MaxBytes {
		b.start()
	}
	if b.open == nil {
		bt := &batch{done: make(chan struct{})}
		bt.ctx, bt.cancel = context.WithCancel(context.Background())
		bt.timer = time.AfterFunc(b.MaxWait, func() { b.flush(bt) })
		b.open = bt
	}
	bt := b.open
	bt.deliveries = append(bt.deliveries, d)
	bt.bytes += len(d.Payload.Body)
	if len(bt.deliveries) >= b.MaxEvents || bt.bytes >= b.MaxBytes {
		b.start()
	}
	return bt
}

// flush makes the call of bt unless it was made.
func (b *batcher) flush(bt *batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == bt {
		b.start()
	}
}

// start makes the call of the open batch. The caller holds mu.
func (b *batcher) start() {
	bt := b.open
	b.open = nil
	bt.timer.Stop()
	go func() {
		defer close(bt.done)
		defer bt.cancel()
		bt.err = b.call(bt)
	}()
}

// call makes the attempt when a slot is free. Its time begins then.
func (b *batcher) call(bt *batch) (err error) {
	select {
	case b.slots <- struct{}{}:
	case <-bt.ctx.Done():
		return bt.ctx.Err()
	}
	defer func() { <-b.slots }()
	ctx, cancel := context.WithTimeout(bt.ctx, b.timeout)
	defer cancel()
	defer func() { // as Watermill's Recoverer does for an attempt of one
		if p := recover(); p != nil {
			err = middleware.RecoveredPanicError{V: p}
		}
	}()
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.dest.DeliverBatch(ctx, bt.deliveries)
}
