package poison

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/time/rate"

	"eventserver/infra"
)

const (
	maxRuns   = 100              // that are kept when they have ended
	beginWait = 10 * time.Second // for the end of a run that begins
)

// States of a run.
const (
	stateRunning = "running"
	stateDone    = "done"
	stateFailed  = "failed"
	stateStopped = "stopped"
)

// handle is a run, under way or ended.
type handle struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu  sync.Mutex
	run Run       // ID, Action and By never change
	due time.Time // of the next line about how it goes
	err error     // after done
}

func (h *handle) update(f func(*Run)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(&h.run)
}

func (h *handle) now() Run {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.run
	r.First = append([]Item(nil), r.First...)
	r.Problems = append([]Problem(nil), r.Problems...)
	return r
}

func (h *handle) settled() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.run.Redriven + h.run.Discarded + h.run.Skipped
}

// wait returns how the run goes when it has ended, ctx has, or after d.
func (h *handle) wait(ctx context.Context, d time.Duration) Run {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-h.done:
	case <-ctx.Done():
	case <-t.C:
	}
	return h.now()
}

// check fills in what an order leaves open.
func (s *Service) check(o *Order) (*filter, error) {
	if o.Action != actionRedrive && o.Action != actionDiscard {
		return nil, invalid(fmt.Sprintf("action: %.40q is not redrive or discard", o.Action))
	}
	if !narrow(o.Filter) && !o.All {
		return nil, invalid(o.Action + ": say which items by a destination or another filter, or ask for all")
	}
	if o.Rate == nil {
		r := defaultRate
		o.Rate = &r
	}
	if o.MaxRedrives == nil {
		n := defaultMaxRedrives
		o.MaxRedrives = &n
	}
	if o.Wait == nil {
		n := int(beginWait / time.Second)
		o.Wait = &n
	}
	if math.IsNaN(*o.Rate) || math.IsInf(*o.Rate, 0) || *o.Rate < 0 || *o.MaxRedrives < 0 || o.Limit < 0 || *o.Wait < 0 {
		return nil, invalid("rate, max_redrives, limit and wait: 0 or more, and a number")
	}
	if o.Destination != "" && o.Action == actionRedrive && !s.configured(o.Destination) {
		return nil, notFound(fmt.Sprintf("there is no destination %q to redrive to; the configuration has %s", o.Destination, strings.Join(s.cfg.Destinations(), ", ")))
	}
	return parse(o.Filter, s.cfg.Now())
}

// Begin starts a run for the caller named by, and waits for its end for a moment.
func (s *Service) Begin(ctx context.Context, o Order, by string) (Run, error) {
	m, err := s.check(&o)
	if err != nil {
		return Run{}, err
	}
	h := &handle{done: make(chan struct{}), run: Run{ID: ulid.Make().String(), Action: o.Action, By: by, DryRun: o.DryRun,
		State: stateRunning, Started: s.cfg.Now().UTC(), Destinations: s.targets(o.Destination)}}
	var life context.Context
	life, h.cancel = context.WithCancel(s.life)
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		h.cancel()
		return Run{}, conflict("the server is stopping")
	}
	s.runs[h.run.ID] = h
	s.begun = append(s.begun, h.run.ID)
	s.forget()
	s.wg.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.wg.Done()
		defer h.cancel()
		s.execute(life, h, o, m)
	}()
	run := h.wait(ctx, time.Duration(*o.Wait)*time.Second)
	if run.State == stateFailed && run.Redriven+run.Discarded+run.Skipped+run.Recovered == 0 {
		return run, h.err // it never began
	}
	return run, nil
}

// forget drops the oldest runs that have ended. s.mu is held.
func (s *Service) forget() {
	for i := 0; i < len(s.begun) && len(s.begun) > maxRuns; {
		h := s.runs[s.begun[i]]
		select {
		case <-h.done:
			delete(s.runs, s.begun[i])
			s.begun = append(s.begun[:i], s.begun[i+1:]...)
		default:
			i++
		}
	}
}

// firstLine is how long a run goes on until a line says how far it is. Each next
// line takes as long as the run took until then, so that there are few of them, and
// none for each item: who settled an item is in its mark.
const firstLine = time.Minute

// goesOn writes a line of a run that takes long.
func (s *Service) goesOn(h *handle) {
	now, due := s.cfg.Now(), false
	h.update(func(r *Run) {
		if h.due.IsZero() {
			h.due = r.Started.Add(firstLine)
		}
		if due = !now.Before(h.due); due {
			h.due = now.Add(now.Sub(r.Started))
		}
	})
	if due {
		s.audit(h, "goes on")
	}
}

// audit writes a line of a run: no key, no payload, and none for each item.
func (s *Service) audit(h *handle, what string) {
	r := h.now()
	s.cfg.Logger.Info("audit", slog.String("action", r.Action+" "+what), slog.String("by", r.By), slog.String("run", r.ID), slog.Bool("dry_run", r.DryRun),
		slog.String("destination", strings.Join(r.Destinations, ",")), slog.String("state", r.State), slog.Int("matched", r.Matched), slog.Int("redriven", r.Redriven),
		slog.Int("discarded", r.Discarded), slog.Int("skipped", r.Skipped), slog.Int("left", r.Failed+r.Refused+r.Behind), slog.Int("recovered", r.Recovered))
}

// execute does one destination after the other. One that cannot be done does not
// keep the others from it.
func (s *Service) execute(ctx context.Context, h *handle, o Order, m *filter) {
	s.cfg.Logger.Info("audit", slog.String("action", o.Action+" begins"), slog.String("by", h.run.By), slog.String("run", h.run.ID), slog.Bool("dry_run", o.DryRun),
		slog.String("destination", strings.Join(h.run.Destinations, ",")), slog.String("filter", words(o.Filter, o.All)))
	var errs []error
	for _, d := range h.run.Destinations {
		err := s.unknown(d, s.newJob(h, d, o, m).run(ctx))
		switch {
		case errors.Is(err, infra.ErrNoTopic): // nothing was ever given up
		case err != nil && len(h.run.Destinations) > 1:
			errs = append(errs, fmt.Errorf("%s: %w", d, err))
		default:
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	err := errors.Join(errs...)
	h.update(func(r *Run) {
		r.Ended, r.State = s.cfg.Now().UTC(), stateDone
		switch {
		case err == nil:
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			r.State = stateStopped
		default:
			r.State, r.Error = stateFailed, err.Error()
		}
		h.err = err
	})
	s.audit(h, "ends")
	close(h.done)
}

func (s *Service) newJob(h *handle, d string, o Order, m *filter) *job {
	j := &job{s: s, h: h, q: s.queue(d), destination: d, order: o, match: m, batch: s.most,
		blocked: map[uint64]struct{}{}, aside: map[uint64][]sequence{}}
	if o.Action == actionRedrive {
		j.batch = min(batchFor(*o.Rate), s.most)
		if *o.Rate > 0 {
			j.limiter = rate.NewLimiter(rate.Limit(*o.Rate), maxBatch)
			j.limiter.AllowN(time.Now(), maxBatch-j.batch) // it begins at its rate
		}
	}
	return j
}

func (s *Service) handle(id string) (*handle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.runs[id]
	if h == nil {
		return nil, notFound(fmt.Sprintf("this server has no run %.40q; it keeps the last %d since it started. A run that was cut off is begun again with the same filter: what it settled is not done twice", id, maxRuns))
	}
	return h, nil
}

// Run tells how a run goes, when it has ended or after wait.
func (s *Service) Run(ctx context.Context, id string, wait time.Duration) (Run, error) {
	h, err := s.handle(id)
	if err != nil {
		return Run{}, err
	}
	return h.wait(ctx, wait), nil
}

// Stop ends a run between two of its steps, and waits for that.
func (s *Service) Stop(ctx context.Context, id string) (Run, error) {
	h, err := s.handle(id)
	if err != nil {
		return Run{}, err
	}
	h.cancel()
	return h.wait(ctx, beginWait), nil
}
