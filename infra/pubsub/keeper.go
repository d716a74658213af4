package pubsub

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"eventserver/infra"
)

// keeper stores the progress of a subscription's claims soon: progress that is not stored
// is repeated after a kill. While nothing is done it has no goroutine and no timer.
type keeper struct {
	sub *subscription

	mu sync.RWMutex // held while a Keep is under way; by readers, while a run is stored with its progress

	list  sync.Mutex
	dirty []*claim // each once; see claim.dirty
	timer *time.Timer
	armed bool

	failing bool // already logged; guarded by mu
}

const (
	// keepInterval is how long progress is gathered. A kill repeats that much, and the
	// log's own few milliseconds.
	keepInterval = 3 * time.Millisecond
	keepRetry    = 250 * time.Millisecond // the pause after a Keep that failed
	keepTimeout  = 10 * time.Second
	keepTries    = 3 // of the last one of a claim
)

func newKeeper(s *subscription) *keeper { return &keeper{sub: s} }

// schedule registers c, which has progress to keep. It is called once until that is taken.
func (k *keeper) schedule(c *claim) {
	k.list.Lock()
	defer k.list.Unlock()
	k.dirty = append(k.dirty, c)
	k.arm(keepInterval)
}

// arm sets the timer. The caller holds list.
func (k *keeper) arm(wait time.Duration) {
	switch {
	case k.armed:
		return
	case k.timer == nil:
		k.timer = time.AfterFunc(wait, k.keep)
	default:
		k.timer.Reset(wait)
	}
	k.armed = true
}

// keep is the timer's function.
func (k *keeper) keep() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list.Lock()
	claims := k.dirty
	k.dirty, k.armed = nil, false
	k.list.Unlock()
	what := make([]infra.Progressed, 0, len(claims))
	for _, c := range claims {
		if p, changed := c.takePosition(false); changed {
			what = append(what, p)
		}
	}
	if len(what) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), keepTimeout)
	defer cancel()
	if err := k.sub.b.log.Keep(ctx, what...); err != nil {
		k.failed(err)
		k.requeue(claims)
		return
	}
	k.failing = false
}

// requeue registers marked claims to be kept later.
func (k *keeper) requeue(claims []*claim) {
	claims = slices.DeleteFunc(claims, func(c *claim) bool { return !c.markDirty() }) // the lock of a claim comes before list
	k.list.Lock()
	defer k.list.Unlock()
	k.dirty = append(k.dirty, claims...)
	k.arm(keepRetry)
}

// failed logs a failure once.
func (k *keeper) failed(err error) {
	if !k.failing {
		k.failing = true
		k.sub.log.Warn("cannot keep progress; trying again, and a kill now repeats finished messages", slog.Any("error", err))
	}
}

// keepLast keeps the last position of c. When it returns nothing of c is being kept or will
// be, so that later progress of another member is not overwritten.
func (k *keeper) keepLast(c *claim) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, changed := c.takePosition(true)
	if !changed || c.isLost() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), keepTimeout)
	defer cancel()
	pause := time.NewTicker(keepRetry / keepTries)
	defer pause.Stop()
	err := k.sub.b.log.Keep(ctx, p)
	for try := 1; err != nil && try < keepTries; try++ {
		<-pause.C
		if c.isLost() {
			return
		}
		err = k.sub.b.log.Keep(ctx, p)
	}
	if err == nil {
		return
	}
	k.sub.log.Error("cannot keep progress; the last finished messages are repeated", slog.Int("partition", int(c.base.Partition)), slog.Any("error", err))
}
