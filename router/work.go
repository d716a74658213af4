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
)

// work transforms the parts of a run: one after the other, to be stored together, and
// once that takes long side by side, so that a slow transformation holds up its own
// partition alone.
type work struct {
	t     *transformer
	run   *infra.Run
	parts []*partWork
	jobs  chan job // that nobody has begun with
}

// partWork is what the events of a part came to so far.
type partWork struct {
	*infra.Part
	outcomes chan outcome // of the events that have no result
	results  []result
}

// job is events to transform, one after the other. There is room in outcomes for all
// of them, so that whoever does the job waits for nobody.
type job struct {
	msgs     []*message.Message
	outcomes chan<- outcome
}

// outcome is of one transformation.
type outcome struct {
	rec *message.Message
	err error
}

// slowTransform is how long a run is transformed until its parts go on side by side,
// and who asks is told.
const slowTransform = 50 * time.Millisecond

func newWork(t *transformer, run *infra.Run) *work {
	w := &work{t: t, run: run, jobs: make(chan job, len(run.Parts))}
	for _, part := range run.Parts {
		p := &partWork{Part: part, results: make([]result, 0, len(part.Messages))}
		w.parts = append(w.parts, p)
		w.jobs <- p.job()
	}
	close(w.jobs)
	return w
}

// job is what is left of a part.
func (p *partWork) job() job {
	msgs := p.Messages[len(p.results):]
	outcomes := make(chan outcome, len(msgs))
	p.outcomes = outcomes
	return job{msgs, outcomes}
}

// begin does the jobs that nobody has begun with.
func (w *work) begin(ctx context.Context) {
	for j := range w.jobs {
		w.t.do(ctx, j)
	}
}

func (t *transformer) do(ctx context.Context, j job) {
	for _, m := range j.msgs {
		if ctx.Err() != nil {
			return
		}
		rec, err := t.transform(ctx, m)
		j.outcomes <- outcome{rec, err}
	}
}

// finish transforms and stores.
func (w *work) finish(ctx context.Context) error {
	go w.begin(ctx)
	slow := time.NewTimer(slowTransform)
	defer slow.Stop()
	for i, p := range w.parts {
		whole, err := p.collect(ctx, w.t, slow.C)
		if err != nil {
			return err
		}
		if !whole {
			return w.beside(ctx, w.parts[:i], w.parts[i:])
		}
	}
	return w.store(ctx, w.parts)
}

// beside finishes parts that are transformed, and the others side by side.
func (w *work) beside(ctx context.Context, ready, slow []*partWork) error {
	w.run.Aside()
	errs := make([]error, len(slow)+1)
	var wg sync.WaitGroup
	if len(ready) > 0 {
		wg.Go(func() { errs[len(slow)] = w.store(ctx, ready) })
	}
	for i, p := range slow {
		wg.Go(func() { w.begin(ctx) })
		wg.Go(func() {
			if errs[i] = w.t.slowPart(ctx, p); errs[i] == nil {
				errs[i] = w.store(ctx, []*partWork{p})
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// collect takes the outcomes of a part until stop; whole: all of them.
func (p *partWork) collect(ctx context.Context, t *transformer, stop <-chan time.Time) (whole bool, err error) {
	for len(p.results) < len(p.Messages) {
		select {
		case o := <-p.outcomes:
			r, err := t.resultOf(ctx, p.Part, p.Messages[len(p.results)], o)
			if err != nil {
				return false, err
			}
			p.results = append(p.results, r)
		case <-stop:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return true, nil
}

// slowPart finishes the transformation of a part. An event whose own does not return in
// time is given up, and the next one does not wait for it.
func (t *transformer) slowPart(ctx context.Context, p *partWork) error {
	waiting := &runWait{parts: []*infra.Part{p.Part}}
	defer func() { t.waits.end(waiting) }()
	t.waits.begin(waiting, metrics.WaitAttempt, time.Time{}, nil)
	for {
		before := len(p.results)
		late := time.NewTimer(t.dest.Timeout)
		whole, err := p.collect(ctx, t, late.C)
		late.Stop()
		if whole || err != nil {
			return err
		}
		if len(p.results) > before {
			continue // they take long together
		}
		msg := p.Messages[len(p.results)]
		p.results = append(p.results, t.givenUp(ctx, p.Part, msg, giveUpNow(metrics.ReasonTransform, fmt.Errorf("transform: it did not return within %s", t.dest.Timeout))))
		go t.do(ctx, p.job())
	}
}

// store stores what parts came to.
func (w *work) store(ctx context.Context, ready []*partWork) error {
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
