package router

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/attempt"
)

// work transforms the parts of a run: one after the other, to be stored together, and
// once that takes long side by side, so that a slow transformation holds up its own
// partition alone.
type work struct {
	t     *transformer
	run   *infra.Run
	parts []*partWork
	jobs  chan job // that nobody has begun with
	given int      // of parts, to jobs
}

// partWork is what the events of a part came to so far.
type partWork struct {
	*infra.Part
	outcomes chan outcome // of the events that have no result
	results  []result
	full     bool // what it came to is to be stored before more is made
}

// job is events to transform, one after the other. There is room in outcomes for all
// of them, so that whoever does the job waits for nobody.
type job struct {
	run      *infra.Run
	part     *infra.Part
	msgs     []*message.Message
	outcomes chan<- outcome
}

// outcome is of one transformation.
type outcome struct {
	rec  *message.Message
	err  error
	full bool // as partWork
}

// slowTransform is how long a run is transformed until its parts go on side by side,
// and who asks is told.
const slowTransform = 50 * time.Millisecond

func newWork(t *transformer, run *infra.Run) *work {
	w := &work{t: t, run: run, jobs: make(chan job, len(run.Parts))}
	for _, part := range run.Parts {
		p := &partWork{Part: part, results: make([]result, 0, len(part.Messages))}
		w.parts = append(w.parts, p)
	}
	return w
}

// give gives away the jobs of the first n parts.
func (w *work) give(n int) {
	for w.given < n {
		w.jobs <- w.parts[w.given].job(w.run)
		if w.given++; w.given == len(w.parts) {
			close(w.jobs)
		}
	}
}

// job is what is left of a part.
func (p *partWork) job(run *infra.Run) job {
	msgs := p.Messages[len(p.results):]
	outcomes := make(chan outcome, len(msgs))
	p.outcomes = outcomes
	return job{run, p.Part, msgs, outcomes}
}

// begin does the jobs that nobody has begun with, until all are given away and begun.
func (w *work) begin(ctx context.Context) {
	for {
		select {
		case j, more := <-w.jobs:
			if !more {
				return
			}
			w.t.do(ctx, j)
		case <-ctx.Done():
			return
		}
	}
}

func (t *transformer) do(ctx context.Context, j job) {
	for _, m := range j.msgs {
		if ctx.Err() != nil {
			return
		}
		var o outcome
		if o.rec, o.err = t.transform(ctx, m); o.rec != nil {
			o.full = j.run.Made(j.part, o.rec)
		}
		j.outcomes <- o
	}
}

// finish transforms and stores: all parts together, or, where memory is short, what is
// ready before more is made.
func (w *work) finish(ctx context.Context) error {
	go w.begin(ctx)
	slow := time.NewTimer(slowTransform)
	defer slow.Stop()
	stored := 0
	for i, p := range w.parts {
		w.give(i + 1)
		whole, err := p.collect(ctx, w, slow.C)
		if err != nil {
			return err
		}
		if !whole {
			return w.beside(ctx, w.parts[stored:i], w.parts[i:])
		}
		if p.full || i == len(w.parts)-1 {
			if err := w.store(ctx, w.parts[stored:i+1]); err != nil {
				return err
			}
			stored = i + 1
		}
	}
	return nil
}

// beside finishes parts that are transformed, and the others side by side.
func (w *work) beside(ctx context.Context, ready, slow []*partWork) error {
	w.run.Aside()
	w.give(len(w.parts))
	errs := make([]error, len(slow)+1)
	var wg sync.WaitGroup
	if len(ready) > 0 {
		wg.Go(func() { errs[len(slow)] = w.store(ctx, ready) })
	}
	for i, p := range slow {
		wg.Go(func() { w.begin(ctx) })
		wg.Go(func() {
			if errs[i] = w.slowPart(ctx, p); errs[i] == nil {
				errs[i] = w.store(ctx, []*partWork{p})
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// collect takes the outcomes of a part until stop; whole: all of them.
func (p *partWork) collect(ctx context.Context, w *work, stop <-chan time.Time) (whole bool, err error) {
	for len(p.results) < len(p.Messages) {
		select {
		case o := <-p.outcomes:
			r, err := w.t.resultOf(ctx, p.Part, p.Messages[len(p.results)], o)
			if err != nil {
				return false, err
			}
			p.full = p.full || o.full
			p.add(w.run, r)
		case <-stop:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return true, nil
}

// add takes a result. What the poison queue gets is made here.
func (p *partWork) add(run *infra.Run, r result) {
	if r.given != nil && run.Made(p.Part, r.rec) {
		p.full = true
	}
	p.results = append(p.results, r)
}

// slowPart finishes the transformation of a part. An event whose own does not return in
// time is given up, and the next one does not wait for it.
func (w *work) slowPart(ctx context.Context, p *partWork) error {
	t := w.t
	waiting := &runWait{parts: []*infra.Part{p.Part}}
	defer func() { t.waits.end(waiting) }()
	t.waits.begin(waiting, metrics.WaitAttempt, time.Time{}, nil)
	for {
		before := len(p.results)
		late := time.NewTimer(t.dest.Timeout)
		whole, err := p.collect(ctx, w, late.C)
		late.Stop()
		if whole || err != nil {
			return err
		}
		if len(p.results) > before {
			continue // they take long together
		}
		msg := p.Messages[len(p.results)]
		p.add(w.run, t.givenUp(p.Part, msg, attempt.GiveUpNow(metrics.ReasonTransform, fmt.Errorf("transform: it did not return within %s", t.dest.Timeout))))
		go t.do(ctx, p.job(w.run))
	}
}

// store stores what parts came to. While the destination is held, those of which something
// was given up wait as a whole, so that each user's events keep their order.
func (w *work) store(ctx context.Context, ready []*partWork) error {
	held := false
	for _, p := range ready {
		held = w.t.hold.saw(nil, p.results)
	}
	if !held {
		return w.put(ctx, ready)
	}
	var stay, rest []*partWork
	for _, p := range ready {
		if len(staying(p)) > 0 {
			stay = append(stay, p)
		} else {
			rest = append(rest, p)
		}
	}
	if len(stay) == 0 {
		return w.put(ctx, rest)
	}
	w.run.Aside()
	if len(rest) > 0 {
		if err := w.put(ctx, rest); err != nil {
			return err
		}
	}
	if err := w.wait(ctx, stay); err != nil {
		return err
	}
	return w.put(ctx, stay)
}

// put stores what parts came to.
func (w *work) put(ctx context.Context, ready []*partWork) error {
	parts, n := make([]*infra.Part, len(ready)), 0
	for i, p := range ready {
		parts[i] = p.Part
		n += len(p.results)
	}
	results := make([]result, 0, n)
	for _, p := range ready {
		results = append(results, p.results...)
	}
	return w.t.finish(ctx, w.run, parts, results)
}
