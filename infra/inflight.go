package infra

import (
	"context"
	"sync"
	"sync/atomic"
)

// InFlight counts the unsettled messages of a subscription, for its Drain. The zero value
// is not usable.
type InFlight struct {
	n        atomic.Int64
	drained  atomic.Bool
	draining chan struct{}
	idle     chan struct{}
	isIdle   sync.Once
}

// NewInFlight returns a count of zero.
func NewInFlight() *InFlight {
	return &InFlight{draining: make(chan struct{}), idle: make(chan struct{})}
}

// Begin counts a message. It returns false once draining: hand out no more.
func (f *InFlight) Begin() bool {
	f.n.Add(1) // first: Drain either sees it, or is seen
	if f.drained.Load() {
		f.End()
		return false
	}
	return true
}

// End ends the count of a message. Each Begin that returned true has one End.
func (f *InFlight) End() {
	if f.n.Add(-1) == 0 && f.drained.Load() {
		f.isIdle.Do(func() { close(f.idle) })
	}
}

// Drain makes Begin return false from now on. Later calls do nothing.
func (f *InFlight) Drain() {
	if !f.drained.CompareAndSwap(false, true) {
		return
	}
	close(f.draining)
	if f.n.Load() == 0 {
		f.isIdle.Do(func() { close(f.idle) })
	}
}

// Draining is closed by Drain.
func (f *InFlight) Draining() <-chan struct{} { return f.draining }

// Drained reports whether Drain was called.
func (f *InFlight) Drained() bool { return f.drained.Load() }

// Wait returns when Drain was called and nothing is in flight, when ended is
// closed (nil: never), or with the error of ctx.
func (f *InFlight) Wait(ctx context.Context, ended <-chan struct{}) error {
	select {
	case <-f.idle:
		return nil
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
