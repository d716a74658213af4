package router

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// health is what the attempts of a destination say of it. Unlike the breaker it
// decides nothing: people see that a receiver only fails before the breaker opens.
//
//	attempts   succeed   fail      fail   succeed   fail, within a minute of the line
//	log line             WARN             INFO
type health struct {
	log *slog.Logger

	failing atomic.Bool // what most attempts ask

	mu     sync.Mutex
	failed int       // attempts since the last success
	since  time.Time // the first of them
	last   error     // of the last of them
	said   bool      // a line says that it fails, and none that it answers again
	line   time.Time // the last one that says so
}

// Failing is what a destination looks like whose last attempts failed.
type Failing struct {
	Attempts int       // in a row, the last one too
	Since    time.Time // the first of them
	Last     string    // error of the last one; no payload is in it
}

// succeeded: the receiver took an event.
func (h *health) succeeded() {
	if !h.failing.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.said {
		h.log.Info("destination answers again", slog.Int("failed_attempts", h.failed), slog.Duration("after", time.Since(h.since)))
	}
	h.failing.Store(false)
	h.failed, h.since, h.last, h.said = 0, time.Time{}, nil, false
}

// Lines of a destination whose attempts fail.
const (
	saysUnavailable = "destination is unavailable; its events wait"
	saysFails       = "destination fails; its events are tried again"
)

// failedWith: an attempt failed. says is the line of the log, of which there is one
// after each success and at most one in a minute; "": another one tells of it.
func (h *health) failedWith(err error, says string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.failing.Store(true)
	h.failed++
	h.last = err
	if h.failed == 1 {
		h.since = now
	}
	if says == "" || h.said || !h.line.IsZero() && now.Sub(h.line) < quiet {
		return
	}
	h.said, h.line = true, now
	switch cause := slog.String("cause", logged(err)); says {
	case saysUnavailable:
		h.log.Warn(saysUnavailable, cause)
	default:
		h.log.Warn(saysFails, cause)
	}
}

// status is nil where the last attempt succeeded, or none was made.
func (h *health) status() *Failing {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failed == 0 {
		return nil
	}
	return &Failing{Attempts: h.failed, Since: h.since, Last: logged(h.last)}
}
