package router

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
	"eventserver/router/redact"
	"eventserver/router/schedule"
)

// hold is the flood guard of a transform stage: it holds a destination whose schema,
// filter or transformation fails for one user after the other. The runs of the stage are
// transformed before they are seen here, and what was given up of them is stored or stays.
type hold struct {
	log   *slog.Logger
	start time.Time // the guard's times are distances from it

	mu      sync.Mutex
	guard   schedule.Guard
	changed chan struct{} // closed when those who wait should ask again
}

func newHold(d *Destination, log *slog.Logger) *hold {
	return &hold{log: log, start: time.Now(), guard: schedule.NewGuard(d.FloodGuard, d.Breaker), changed: make(chan struct{})}
}

// saw takes what events came to, in their order, and reports whether those that were
// given up stay. of is who saw it: the result of a probe is that of who asked.
func (h *hold) saw(of any, results []result) (held bool) {
	h.mu.Lock()
	before := h.guard.Held()
	t := time.Since(h.start)
	for i := range results {
		r := &results[i]
		switch {
		case r.stays():
			h.guard.Report(t, of, record.OrderKey(r.msg), schedule.Final, redact.New(r.given.Err, r.msg))
		case r.rec != nil && r.given == nil:
			h.guard.Report(t, of, "", schedule.Success, nil)
		default: // of a skipped event nobody knows whether it would have failed
			h.guard.Report(t, of, "", schedule.Nothing, nil)
		}
	}
	held = h.guard.Held()
	notices := h.guard.Notices()
	if held == before {
		notices = nil // it came and went within a run
	}
	if held || before {
		h.ring()
	}
	h.mu.Unlock()
	h.tell(notices)
	return held
}

// stays reports whether an event was given up that a hold keeps back. A record that cannot
// be decoded says nothing of the destination.
func (r *result) stays() bool { return r.given != nil && r.given.Reason != metrics.ReasonUndecodable }

// staying are the results of parts that stay.
func staying(parts ...*partWork) (all []*result) {
	for _, p := range parts {
		for i := range p.results {
			if r := &p.results[i]; r.stays() {
				all = append(all, r)
			}
		}
	}
	return all
}

// wait returns when the destination is held no more. What was given up of the parts was
// then transformed once more, and what still is may be stored.
func (w *work) wait(ctx context.Context, parts []*partWork) error {
	h, waiting := w.t.hold, &runWait{}
	for _, p := range parts {
		waiting.parts = append(waiting.parts, p.Part)
	}
	defer func() { w.t.waits.end(waiting) }()
	for n := 0; ; {
		failed := staying(parts...)
		if len(failed) == 0 {
			return nil
		}
		over, probe, until, changed := h.ask(waiting)
		switch {
		case over:
			results, err := w.again(ctx, failed)
			if err != nil {
				return err
			}
			if !h.saw(nil, results) {
				return nil
			}
		case probe: // one user after the other
			which := failed[n%len(failed):]
			n++
			results, err := w.again(ctx, which[:1])
			if err != nil {
				h.saw(waiting, make([]result, 1)) // it came to nothing
				return err
			}
			h.saw(waiting, results)
		default:
			w.t.waits.begin(waiting, metrics.WaitHeld, until, nil)
			if err := w.t.sleep(ctx, until, changed); err != nil {
				return err
			}
		}
	}
}

// again transforms events once more that were given up, one after the other.
func (w *work) again(ctx context.Context, given []*result) ([]result, error) {
	p := &partWork{Part: &infra.Part{}}
	for _, r := range given {
		p.Messages = append(p.Messages, r.msg)
	}
	trial := &work{t: w.t, run: &infra.Run{RunOwner: uncharged{w.run}}}
	go w.t.do(ctx, p.job(trial.run))
	if err := trial.slowPart(ctx, p); err != nil {
		return nil, err
	}
	for i := range p.results {
		r := &p.results[i]
		r.part = given[i].part
		if r.given == nil && r.rec != nil {
			w.run.Made(r.part, r.rec)
		}
		*given[i] = *r
	}
	return p.results, nil
}

// uncharged is a run whose poison records count no more: each takes the place of one that
// was charged.
type uncharged struct{ infra.RunOwner }

// Made implements infra.RunOwner.
func (uncharged) Made(*infra.Part, *message.Message) bool { return false }

// sleep waits for a time, if there is one, or for changed.
func (t *transformer) sleep(ctx context.Context, until time.Time, changed <-chan struct{}) error {
	var due <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
		return nil
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.draining:
		return attempt.ErrDraining
	}
}

func (h *hold) tell(notices []schedule.Notice) {
	if len(notices) == 0 {
		return
	}
	switch last := notices[len(notices)-1]; {
	case last.Opened:
		h.log.Warn("the transformation fails for one user after the other; the destination is held", slog.Duration("pause", last.Pause), slog.String("cause", redact.Logged(last.Cause)))
	default:
		h.log.Info("destination is no longer held")
	}
}

// ring has those who wait ask again. The caller holds mu.
func (h *hold) ring() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// ask reports whether the hold is over, and if not, whether of may transform one event,
// the probe, which ends with saw. Otherwise of asks again at a time, if there is one, and
// when changed is closed.
func (h *hold) ask(of any) (over, probe bool, until time.Time, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.guard.Held() {
		return true, false, time.Time{}, nil
	}
	lets, at := h.guard.Lets(time.Since(h.start))
	if lets {
		h.guard.Start(of)
		return false, true, time.Time{}, nil
	}
	if at > 0 {
		until = h.start.Add(at)
	}
	return false, false, until, h.changed
}

// letGo ends it; false: there is none.
func (h *hold) letGo(accept bool) bool {
	h.mu.Lock()
	ended := h.guard.LetGo(accept)
	if ended {
		h.ring()
	}
	notices := h.guard.Notices()
	h.mu.Unlock()
	h.tell(notices)
	return ended
}

// retryNow ends its pause; false: there is none.
func (h *hold) retryNow() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	ended := h.guard.RetryNow(time.Since(h.start))
	if ended {
		h.ring()
	}
	return ended
}

// pausing reports whether retryNow would end something.
func (h *hold) pausing() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.guard.Pausing(time.Since(h.start))
}

func (h *hold) state() schedule.HoldState {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.guard.State(h.start)
}
