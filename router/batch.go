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

// errBatch is a failure of a batch that may be one of its events' alone. Each
// of them is tried again, the next time by itself.
var errBatch = errors.New("the attempt was of a batch; the next one is of this event alone")

// batcher gathers attempts that begin at about the same time into one call.
// Each caller waits for the call's end: nothing outlives its attempt.
type batcher struct {
	Batch
	dest    destinations.Batcher
	timeout time.Duration // of one call

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
	stop := context.AfterFunc(ctx, bt.cancel)
	<-bt.done
	stop()
	switch {
	case bt.err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(bt.err, new(*destinations.UnavailableError)):
		return bt.err
	case len(bt.deliveries) > 1:
		progressOf(ctx).alone = true
		// The cause is told, and its kind is not: a final answer to a batch
		// is no final answer to each of its events.
		return errors.Join(errBatch, errors.New(detail(bt.err)))
	}
	return bt.err
}

func (b *batcher) join(d destinations.Delivery) *batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open != nil && b.open.bytes+len(d.Payload.Body) > b.MaxBytes {
		b.flush()
	}
	if b.open == nil {
		bt := &batch{done: make(chan struct{})}
		bt.ctx, bt.cancel = context.WithCancel(context.Background())
		bt.timer = time.AfterFunc(b.MaxWait, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.open == bt {
				b.flush()
			}
		})
		b.open = bt
	}
	bt := b.open
	bt.deliveries = append(bt.deliveries, d)
	bt.bytes += len(d.Payload.Body)
	if len(bt.deliveries) >= b.MaxEvents || bt.bytes >= b.MaxBytes {
		b.flush()
	}
	return bt
}

// flush makes the call of the open batch. The caller holds mu.
func (b *batcher) flush() {
	bt := b.open
	b.open = nil
	bt.timer.Stop()
	go func() {
		defer close(bt.done)
		defer bt.cancel()
		bt.err = b.call(bt)
	}()
}

func (b *batcher) call(bt *batch) (err error) {
	ctx, cancel := context.WithTimeout(bt.ctx, b.timeout)
	defer cancel()
	defer func() { // as Watermill's Recoverer does for an attempt of one
		if p := recover(); p != nil {
			err = middleware.RecoveredPanicError{V: p}
		}
	}()
	return b.dest.DeliverBatch(ctx, bt.deliveries)
}
