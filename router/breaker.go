package router

import (
	"context"
	"log/slog"
	"slices"
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

// pass is how an attempt got through the breaker.
type pass int

const (
	passFree  pass = iota // it was closed
	passProbe             // the one that finds out whether the pause may end
	passRamp              // one of those that follow a good probe
)

// breaker pauses a destination that is at fault. While it is open attempts
// wait, in order of arrival; after each pause one of them goes as a probe.
// After a good one the others follow by twos for each success, not all at
// once: a receiver that allows so many a second would refuse most of a crowd.
// Waiting spends no attempt. A failed probe's key queues up behind the others,
// so that one bad user cannot be the probe for ever.
type breaker struct {
	Breaker
	log *slog.Logger

	mu        sync.Mutex
	open      bool
	ramp      bool // it was open, and some still wait
	tokens    int  // while ramp: attempts that may go now
	pause     time.Duration
	due       bool        // the pause is over and nobody was there to probe
	timer     *time.Timer // ends the pause
	waiters   []waiter
	failing   map[string]struct{}
	down      map[string]struct{}
	successes uint64

	since, until time.Time // while open: it opened, and the next probe
	cause        error     // of the last trip
}

// waiter is an attempt that waits.
type waiter struct {
	key  string
	turn chan pass
}

func newBreaker(cfg Breaker, log *slog.Logger) *breaker {
	return &breaker{Breaker: cfg.WithDefaults(), log: log, failing: map[string]struct{}{}, down: map[string]struct{}{}}
}

// enter returns when an attempt may be made. It calls waiting when that is not at
// once.
func (b *breaker) enter(ctx context.Context, key string, draining <-chan struct{}, waiting func()) (pass, error) {
	b.mu.Lock()
	switch {
	case !b.open && !b.ramp:
		b.mu.Unlock()
		return passFree, nil
	case b.open && b.due:
		b.due = false
		b.mu.Unlock()
		return passProbe, nil
	}
	w := make(chan pass, 1)
	b.waiters = append(b.waiters, waiter{key, w})
	b.release()
	b.mu.Unlock()
	waiting()
	var err error
	select {
	case p := <-w:
		return p, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-draining:
		err = errDraining
	}
	b.leave(w)
	return passFree, err
}

// leave takes w out of the queue; a pass granted meanwhile goes to the next.
func (b *breaker) leave(w chan pass) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, other := range b.waiters {
		if other.turn == w {
			b.waiters = append(b.waiters[:i], b.waiters[i+1:]...)
			b.release()
			return
		}
	}
	b.giveBack(<-w)
}

// abandon passes p on: its attempt was cancelled and says nothing.
func (b *breaker) abandon(p pass) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.giveBack(p)
}

// giveBack returns an unused pass. The caller holds mu.
func (b *breaker) giveBack(p pass) {
	switch {
	case p == passProbe && b.open:
		b.grant()
	case p == passRamp && b.ramp:
		b.tokens++
		b.release()
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
	w.turn <- passProbe
}

// release lets waiters go as the tokens allow. When none is left the breaker
// is closed. The caller holds mu.
func (b *breaker) release() {
	if !b.ramp {
		return
	}
	for b.tokens > 0 && len(b.waiters) > 0 {
		w := b.waiters[0]
		b.waiters = b.waiters[1:]
		b.tokens--
		w.turn <- passRamp
	}
	if len(b.waiters) == 0 {
		b.ramp, b.pause = false, 0
		b.log.Info("breaker closed")
	}
}

// succeeded: the destination answers.
func (b *breaker) succeeded(p pass) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.successes++
	clear(b.failing)
	clear(b.down)
	switch {
	case b.open && p == passProbe:
		b.open, b.due, b.ramp, b.tokens = false, false, true, 2
		b.timer.Stop()
		b.release()
	case b.ramp && p == passRamp:
		b.tokens += 2
		b.release()
	}
}

// failed: an attempt for key failed.
func (b *breaker) failed(key string, p pass, cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing[key] = struct{}{}
	if p == passProbe || len(b.failing) >= b.Failures {
		b.trip(p, ask{}, cause)
		return
	}
	b.giveBack(p)
}

// unavailable: an attempt for key found the destination at fault, which asked for
// a wait. It returns the number of successes so far.
func (b *breaker) unavailable(key string, p pass, a ask, cause error) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down[key] = struct{}{}
	throttled := p == passRamp && a.wait > 0 // too many at once: the ramp begins anew
	if p == passProbe || throttled || len(b.down) >= unavailableKeys {
		b.trip(p, a, cause)
	} else {
		b.giveBack(p)
	}
	return b.successes
}

// trip opens the breaker, or pauses longer after a failed probe. A receiver that
// names a time gets its probe then, and the pauses do not grow for it. Attempts that
// were under way when it opened change nothing. The caller holds mu.
func (b *breaker) trip(p pass, a ask, cause error) {
	if b.open && p != passProbe {
		return
	}
	opens := !b.open && !b.ramp
	switch {
	case !b.open:
		b.pause = b.Initial
	case !a.named():
		b.pause = min(2*b.pause, b.Max)
	}
	wait := a.probe(b.pause)
	if opens {
		b.log.Warn("destination fails; breaker opened", slog.Duration("pause", wait), slog.String("cause", logged(cause)))
	}
	now := time.Now()
	if !b.open {
		b.since = now
	}
	b.until, b.cause = now.Add(wait), cause
	b.open, b.ramp, b.tokens = true, false, 0
	b.timer = time.AfterFunc(wait, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.open {
			b.grant()
		}
	})
	clear(b.failing) // bounded: it holds the keys of one episode
	clear(b.down)
}

// retryNow ends a pause: a waiting attempt of key, or the first one, is the probe.
// Whoever asks for it has reason to think that the receiver is well, so the pauses
// begin anew. A probe that is under way is left alone. It reports whether it ended one.
func (b *breaker) retryNow(key func(string) bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open || b.due || !b.timer.Stop() {
		return false
	}
	if i := slices.IndexFunc(b.waiters, func(w waiter) bool { return key(w.key) }); i > 0 {
		w := b.waiters[i]
		b.waiters = slices.Insert(slices.Delete(b.waiters, i, i+1), 0, w)
	}
	b.until, b.pause = time.Now(), b.Initial/2 // a probe that fails doubles it
	b.grant()
	return true
}

// pausing reports whether there is a pause that retryNow would end.
func (b *breaker) pausing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open && !b.due && time.Now().Before(b.until)
}

func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

func (b *breaker) status() BreakerStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := BreakerStatus{Open: b.open, Ramp: b.ramp}
	if b.open || b.ramp {
		s.Cause = logged(b.cause)
	}
	if b.open {
		s.Since, s.Until = b.since, b.until
	}
	return s
}

// stop ends the timer of a breaker that is no longer used.
func (b *breaker) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
	}
}
