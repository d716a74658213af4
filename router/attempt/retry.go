package attempt

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/schedule"
)

// Breaker says when a destination is paused.
type Breaker = schedule.Breaker

// RateLimit bounds the attempts a second of one destination.
type RateLimit = schedule.Rate

// Retry bounds the attempts of one delivery.
type Retry struct {
	Initial  time.Duration // cap of the first wait; default 500 ms
	Max      time.Duration // cap of every wait; default 30 s
	Attempts int           // default 10
	MaxAge   time.Duration // of attempts and backoffs by the event's own fault, together; default 10 min
}

// WithDefaults fills in what is zero.
func (r Retry) WithDefaults() Retry {
	if r.Initial <= 0 {
		r.Initial = 500 * time.Millisecond
	}
	if r.Max <= 0 {
		r.Max = 30 * time.Second
	}
	if r.Attempts <= 0 {
		r.Attempts = 10
	}
	if r.MaxAge <= 0 {
		r.MaxAge = 10 * time.Minute
	}
	return r
}

// backoff is exponential with full jitter: anything up to the cap of try n,
// counted from 1.
func (r Retry) backoff(n int) time.Duration {
	ceiling := r.Max
	if shift := n - 1; shift < 32 && r.Initial<<shift < r.Max && r.Initial<<shift > 0 {
		ceiling = r.Initial << shift
	}
	return rand.N(ceiling + 1)
}

// retry judges a failed attempt: another one at a time, or none. It tells the breaker
// and frees the slot. The scheduler waits for the time.
type retry struct {
	Retry
	scheduler *Scheduler
	metrics   *metrics.Destination
	health    *Health
}

func (r *retry) middleware(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		_, err := next(msg)
		if err == nil {
			r.health.succeeded()
			return nil, nil
		}
		return nil, r.judge(msg.Context(), attemptOf(msg.Context()), err)
	}
}

// judge returns nil, an *again, a *giveUp, or the error of an attempt that was cut.
func (r *retry) judge(ctx context.Context, a *attempt, err error) error {
	if errors.Is(err, destinations.ErrSkip) {
		r.health.succeeded()
		return nil
	}
	var given *GiveUp
	if errors.As(err, &given) { // the receiver was not asked
		r.scheduler.ended(a, schedule.Nothing, schedule.Asked{}, nil)
		return given
	}
	asked := askedOf(err)
	outcome := r.health.outcome(class(ctx, err), err)
	h := r.scheduler.ended(a, outcome, asked, err)
	switch outcome {
	case schedule.Nothing:
		return err
	case schedule.Final:
		if h.Held() {
			r.metrics.Retries.Inc()
			return &again{err: err} // the scheduler says when
		}
		return gaveUp(metrics.ReasonPermanent, h)
	}
	var wait time.Duration
	switch {
	case h.Excused():
		wait = r.backoff(h.Unavailable)
	case h.Counted >= r.Attempts:
		return gaveUp(metrics.ReasonAttempts, h)
	case h.Age >= r.MaxAge:
		return gaveUp(metrics.ReasonAge, h)
	default:
		wait = r.backoff(h.Counted)
	}
	r.metrics.Retries.Inc()
	return &again{until: time.Now().Add(asked.Backoff(wait)), err: err}
}

func gaveUp(reason string, h *schedule.History) *GiveUp {
	return &GiveUp{Reason: reason, Err: h.Err, attempts: h.Tries, first: h.First, last: h.Last}
}

// askedOf is the time that a receiver asked for.
func askedOf(err error) schedule.Asked {
	var after *destinations.RetryAfterError
	if !errors.As(err, &after) {
		return schedule.Asked{}
	}
	return schedule.Asked{Wait: max(after.Wait, 0), AtLeast: after.AtLeast}
}
