package infra

import (
	"context"
	"sync"
)

// InFlight counts the messages that a subscription has handed out and that are
// not settled, for its Drain. The zero value is not usable.
type InFlight struct {
	mu       sync.Mutex
	n        int
	drained  bool
	draining chan struct{}
	idle     chan struct{}
	isIdle   bool
}

// NewInFlight returns a count of nothing.
func NewInFlight() *InFlight {
	return &InFlight{draining: make(chan struct{}), idle: make(chan struct{})}
}

// Begin counts a message; false once draining: hand out nothing more.
func (f *InFlight) Begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.drained {
		return false
	}
	f.n++
	return true
}

// End counts a message less. Each Begin that returned true has one End.
func (f *InFlight) End() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	f.check()
}

// Drain makes Begin return false from now on. Later calls do nothing.
func (f *InFlight) Drain() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.drained {
		f.drained = true
		close(f.draining)
	}
	f.check()
}

func (f *InFlight) check() {
	if f.drained && f.n == 0 && !f.isIdle {
		f.isIdle = true
		close(f.idle)
	}
}

// Draining is closed by Drain.
func (f *InFlight) Draining() <-chan struct{} { return f.draining }

// Drained reports whether Drain was called.
func (f *InFlight) Drained() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.drained
}

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
