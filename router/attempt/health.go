package attempt

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"eventserver/metrics"
	"eventserver/router/redact"
	"eventserver/router/schedule"
)

// Health is what the attempts of a destination say of it. Unlike the breaker it
// decides nothing: people see that a receiver only fails before the breaker opens.
//
//	attempts   succeed   fail      fail   succeed   fail, within a minute of the line
//	log line             WARN             INFO
type Health struct {
	Log *slog.Logger

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
func (h *Health) succeeded() {
	if !h.failing.Load() {
		return
	}
	h.mu.Lock()
	failed, since, said := h.failed, h.since, h.said
	h.failing.Store(false)
	h.failed, h.since, h.last, h.said = 0, time.Time{}, nil, false
	h.mu.Unlock()
	if said {
		h.Log.Info("destination answers again", slog.Int("failed_attempts", failed), slog.Duration("after", time.Since(since)))
	}
}

// outcome notes the class of an attempt, and says what it is for the breaker.
func (h *Health) outcome(class string, err error) schedule.Outcome {
	switch class {
	case metrics.ClassSuccess:
		h.succeeded()
		return schedule.Success
	case metrics.ClassPermanent:
		h.failedWith(err, "") // the poison queue has a line
		return schedule.Final
	case metrics.ClassCancelled:
		return schedule.Nothing
	case metrics.ClassUnavailable:
		h.failedWith(err, saysUnavailable)
		return schedule.Unavailable
	default:
		h.failedWith(err, saysFails)
		return schedule.Failed
	}
}

// Lines of a destination whose attempts fail.
const (
	saysUnavailable = "destination is unavailable; its events wait"
	saysFails       = "destination fails; its events are tried again"
)

// failedWith: an attempt failed. says is the line of the log, of which there is one
// after each success and at most one in a minute; "": another one tells of it.
func (h *Health) failedWith(err error, says string) {
	if !h.noted(err, says) {
		return
	}
	switch cause := slog.String("cause", redact.Logged(err)); says {
	case saysUnavailable:
		h.Log.Warn(saysUnavailable, cause)
	default:
		h.Log.Warn(saysFails, cause)
	}
}

// noted reports whether there is a line to be written.
func (h *Health) noted(err error, says string) bool {
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
		return false
	}
	h.said, h.line = true, now
	return true
}

// Status is nil where the last attempt succeeded, or none was made.
func (h *Health) Status() *Failing {
	h.mu.Lock()
	failed, since, last := h.failed, h.since, h.last
	h.mu.Unlock()
	if failed == 0 {
		return nil
	}
	return &Failing{Attempts: failed, Since: since, Last: redact.Logged(last)}
}
