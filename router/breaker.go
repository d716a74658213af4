package router

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Breaker says when a destination is paused.
type Breaker struct {
	Failures int           // keys that fail in a row, none succeeding, until it opens; default 20
	Initial  time.Duration // first pause; default 1 s
	Max      time.Duration // longest pause; default 1 min
}

// WithDefaults fills in what is zero.
func (b Breaker) WithDefaults() Breaker {
	if b.Failures <= 0 {
		b.Failures = 20
	}
	if b.Initial <= 0 {
		b.Initial = time.Second
	}
	if b.Max <= 0 {
		b.Max = time.Minute
	}
	return b
}

// unavailableKeys is how many keys must find the destination unavailable, none
// succeeding, until the breaker opens. Two, because one user who always gets a
// 503 must not pause the others.
const unavailableKeys = 2

// breaker pauses a destination that is at fault. While it is open attempts
// wait, in order of arrival; after each pause one of them goes as a probe.
// Waiting spends no attempt. A failed probe's key queues up behind the others,
// so that one bad user cannot be the probe for ever.
type breaker struct {
	Breaker
	log *slog.Logger

	mu        sync.Mutex
	open      bool
	pause     time.Duration
	due       bool        // the pause is over and nobody was there to probe
	timer     *time.Timer // ends the pause
	waiters   []chan bool // true: go as the probe; false: it closed
	failing   map[string]struct{}
	down      map[string]struct{}
	warned    bool // that it is unavailable, since the last success
	successes uint64
}

func newBreaker(cfg Breaker, log *slog.Logger) *breaker {
	return &breaker{Breaker: cfg.WithDefaults(), log: log, failing: map[string]struct{}{}, down: map[string]struct{}{}}
}

// enter returns when an attempt may be made, and whether it is the probe.
func (b *breaker) enter(ctx context.Context, draining <-chan struct{}) (probe bool, err error) {
	b.mu.Lock()
	if !b.open {
		b.mu.Unlock()
		return false, nil
	}
	if b.due {
		b.due = false
		b.mu.Unlock()
		return true, nil
	}
	w := make(chan bool, 1)
	b.waiters = append(b.waiters, w)
	b.mu.Unlock()
	select {
	case probe = <-w:
		return probe, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-draining:
		err = errDraining
	}
	b.leave(w)
	return false, err
}

// leave takes w out of the queue; a probe granted meanwhile goes to the next.
func (b *breaker) leave(w chan bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, other := range b.waiters {
		if other == w {
			b.waiters = append(b.waiters[:i], b.waiters[i+1:]...)
			return
		}
	}
	if probe := <-w; probe {
		b.grant()
	}
}

// abandon passes the probe on: its attempt was cancelled and says nothing.
func (b *breaker) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open {
		b.grant()
	}
}

// grant lets the first waiter probe. The caller holds mu.
func (b *breaker) grant() {
	if len(b.waiters) == 0 {
		b.due = true
		return
	}
	w := b.waiters[0]
	b.waiters = b.waiters[1:]
	w <- true
}

// succeeded: the destination answers.
func (b *breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.successes++
	if b.warned && !b.open {
		b.log.Info("destination answers again")
	}
	b.warned = false
	clear(b.failing)
	clear(b.down)
	if !b.open {
		return
	}
	b.open, b.due, b.pause = false, false, 0
	b.timer.Stop()
	for _, w := range b.waiters {
		w <- false
	}
	b.waiters = nil
	b.log.Info("destination answers again; breaker closed")
}

// failed: an attempt for key failed.
func (b *breaker) failed(key string, probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing[key] = struct{}{}
	if probe || len(b.failing) >= b.Failures {
		b.trip(probe, 0)
	}
}

// unavailable: an attempt for key found the destination at fault. It returns
// the number of successes so far.
func (b *breaker) unavailable(key string, probe bool, wait time.Duration, cause error) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.warned { // once an outage, or it is never seen: such attempts reach no limit
		b.warned = true
		b.log.Warn("destination is unavailable; its events wait", slog.String("cause", detail(cause)))
	}
	b.down[key] = struct{}{}
	if probe || len(b.down) >= unavailableKeys {
		b.trip(probe, wait)
	}
	return b.successes
}

// trip opens the breaker, or pauses longer after a failed probe. Attempts that
// were under way when it opened change nothing. The caller holds mu.
func (b *breaker) trip(probe bool, wait time.Duration) {
	if b.open && !probe {
		return
	}
	if !b.open {
		b.open = true
		b.pause = b.Initial
		b.log.Warn("destination fails; breaker opened", slog.Duration("pause", max(b.pause, wait)))
	} else {
		b.pause = min(2*b.pause, b.Max)
	}
	b.timer = time.AfterFunc(max(b.pause, wait), func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.open {
			b.grant()
		}
	})
	clear(b.failing) // bounded: it holds the keys of one episode
	clear(b.down)
}

func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// stop ends the timer of a breaker that is no longer used.
func (b *breaker) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
	}
}
