package router

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
)

// Retry bounds the attempts of one delivery.
type Retry struct {
	Initial  time.Duration // cap of the first wait; default 500 ms
	Max      time.Duration // cap of every wait; default 30 s
	Attempts int           // default 10
	MaxAge   time.Duration // since the first attempt, pauses of the breaker not counted; default 10 min
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

// progress is what one delivery has been through since it was read.
type progress struct {
	tries       int           // attempts made, all of them
	counted     int           // attempts that spent the event's limit
	first, last time.Time     // when the first attempt began and the last one ended
	paused      time.Duration // spent waiting by the destination's fault
	excused     bool          // the last failure was the destination's fault
	unavailable int           // attempts that failed by the destination's fault
	blamed      bool          // the last one was this event's fault after all
	suspect     int           // unavailable attempts that may have been its fault
	free        bool          // its last unavailable attempt met a closed breaker
	successes   uint64        // of the destination, at this event's last Unavailable

	msg    *message.Message // what is delivered; nil: group or run is, or nobody asks
	group  *group
	run    []*infra.Part // what is transformed
	err    error         // of the last attempt
	listed bool          // in the register of waits
	note   note          // what it says; the register's lock guards it
	now    chan struct{} // closed when somebody wants the attempt that it backs off from now; the same
}

type progressKey struct{}

// progressOf returns the delivery's progress. The retry middleware put it there.
func progressOf(ctx context.Context) *progress {
	if p, ok := ctx.Value(progressKey{}).(*progress); ok {
		return p
	}
	return &progress{}
}

// retry makes attempts until one succeeds or the delivery is given up. It
// sleeps in a goroutine of its own message and holds nothing else meanwhile:
// the limits are taken around an attempt, further in.
type retry struct {
	Retry
	metrics  *metrics.Destination
	draining <-chan struct{}
	waits    *waits
}

func (r *retry) middleware(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		p := &progress{msg: msg}
		defer r.waits.end(p)
		ctx := msg.Context()
		if a, ok := cameApart(ctx); ok && a.attempted { // by its group
			p.tries, p.err = 1, a.err
			if err := r.backOff(ctx, p, a.until); err != nil {
				return nil, err
			}
		}
		msg.SetContext(context.WithValue(ctx, progressKey{}, p))
		defer msg.SetContext(ctx)
		for {
			out, err := next(msg)
			if err == nil || errors.Is(err, destinations.ErrSkip) || errors.As(err, new(*giveUp)) {
				return out, err
			}
			if ctx.Err() != nil || errors.Is(err, errDraining) {
				return nil, err
			}
			wait, stop := r.after(p, err)
			if stop != nil {
				return nil, stop
			}
			p.err = err
			began := time.Now()
			if err := r.backOff(ctx, p, began.Add(wait)); err != nil {
				return nil, err
			}
			if p.excused {
				p.paused += time.Since(began)
			}
			r.metrics.Retries.Inc()
		}
	}
}

// after decides, on a failed attempt, how long to wait or to give up.
func (r *retry) after(p *progress, err error) (time.Duration, *giveUp) {
	stop := func(reason string) *giveUp {
		return &giveUp{reason: reason, err: err, attempts: p.tries, first: p.first, last: p.last}
	}
	if errors.As(err, new(*destinations.PermanentError)) {
		return 0, stop(metrics.ReasonPermanent)
	}
	var wait time.Duration
	p.excused = errors.As(err, new(*destinations.UnavailableError)) && !p.blamed
	if p.excused {
		p.unavailable++
		wait = r.backoff(p.unavailable)
	} else {
		p.counted++
		if p.counted >= r.Attempts {
			return 0, stop(metrics.ReasonAttempts)
		}
		if p.last.Sub(p.first)-p.paused >= r.MaxAge {
			return 0, stop(metrics.ReasonAge)
		}
		wait = r.backoff(p.counted)
	}
	return askOf(err).backoff(wait), nil
}

// backOff waits until then, or until somebody wants the attempt now.
func (r *retry) backOff(ctx context.Context, p *progress, until time.Time) error {
	now := r.waits.backOff(p, until)
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
	case <-now:
	case <-ctx.Done():
		return ctx.Err()
	case <-r.draining:
		return errDraining
	}
	return nil
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
		return errDraining
	}
}
