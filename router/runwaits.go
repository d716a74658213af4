package router

import (
	"context"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router/attempt"
	"eventserver/router/record"
)

// runWaits is a transform stage's register of the runs that do not go on at once, so
// that somebody may ask why. What is transformed and stored without waiting is never in
// it.
type runWaits struct {
	mu  sync.Mutex
	all map[*runWait]struct{}
}

// runWait is what parts of a run wait for.
type runWait struct {
	parts  []*infra.Part
	reason string    // metrics.Wait...
	since  time.Time // for that
	next   time.Time // they go on then; zero: not known
	err    error     // what failed; nil: nothing did
}

// begin notes what a run waits for. It is called for a run by one goroutine.
func (r *runWaits) begin(w *runWait, reason string, next time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.reason != reason {
		w.since = time.Now()
	}
	w.reason, w.next, w.err = reason, next, err
	if r.all == nil {
		r.all = map[*runWait]struct{}{}
	}
	r.all[w] = struct{}{}
}

// end forgets a run.
func (r *runWaits) end(w *runWait) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, w)
}

// of finds the first event of a key that waits, and what for; nil: there is none.
func (r *runWaits) of(key string) (*message.Message, runWait) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.all {
		for _, part := range w.parts {
			for _, m := range part.Messages {
				if record.OrderKey(m) == key {
					return m, *w
				}
			}
		}
	}
	return nil, runWait{}
}

// pause sleeps unless the message's claim ends or the pipeline drains.
func pause(ctx context.Context, draining <-chan struct{}, wait time.Duration) error {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-draining:
		return attempt.ErrDraining
	}
}
