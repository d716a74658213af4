package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// ErrUnknown is returned for a destination that the pipeline does not have.
var ErrUnknown = errors.New("there is no such destination")

// Note says who steered a destination, when and why.
type Note struct {
	By, Why string
	At      time.Time
}

// Add starts a destination while the others run and returns when it reads. Its
// topics must exist. It is an error when there is one of that id.
func (p *Pipeline) Add(ctx context.Context, d Destination) error {
	d, err := d.withDefaults()
	if err != nil {
		return err
	}
	id := d.Destination.ID()
	done, err := p.turns.take(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	if p.find(id) != nil {
		return fmt.Errorf("router: destination id %q is used twice", id)
	}
	return p.launch(ctx, d, nil)
}

// Remove ends a destination: it reads nothing more, attempts under way come to
// their end, or are cut when ctx ends, and its series leave the metrics. Its
// topics and groups stay: one that is added again goes on from there.
func (p *Pipeline) Remove(ctx context.Context, id string) error {
	done, err := p.turns.take(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	r := p.find(id)
	if r == nil {
		return fmt.Errorf("%s: %w", id, ErrUnknown)
	}
	err = r.end(ctx, true)
	p.list(r, nil)
	return err
}

// Replace ends a destination and starts another of its id on the same groups,
// which goes on where the old one was. When the new one cannot start, the old
// one is started again; when that fails too, Run ends with the error.
func (p *Pipeline) Replace(ctx context.Context, d Destination) error {
	if _, err := d.withDefaults(); err != nil {
		return err
	}
	return p.Rebuild(ctx, d.Destination.ID(), func() (Destination, error) { return d, nil }, nil)
}

// Rebuild is Replace for destinations of which two cannot be open at once: build
// is called after the old one has ended, and restore, when it must come back. A
// nil restore takes the old one as it was.
func (p *Pipeline) Rebuild(ctx context.Context, id string, build, restore func() (Destination, error)) error {
	done, err := p.turns.take(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	old := p.find(id)
	if old == nil {
		return fmt.Errorf("%s: %w", id, ErrUnknown)
	}
	if restore == nil {
		restore = func() (Destination, error) { return old.dest, nil }
	}
	if err := old.end(ctx, false); err != nil {
		p.cfg.Logger.Warn("a destination that is replaced did not end cleanly", slog.String("destination", id), slog.Any("error", err))
	}
	// What is stopped must start again, whatever becomes of the caller.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), launchTimeout)
	defer cancel()
	again := func(make func() (Destination, error)) error {
		d, err := make()
		if err == nil {
			d, err = d.withDefaults()
		}
		if err == nil {
			err = p.launch(ctx, d, p.find(id))
		}
		return err
	}
	err = again(build)
	if err == nil || errors.Is(err, ErrClosed) {
		return err
	}
	if failed := again(restore); failed != nil && !errors.Is(failed, ErrClosed) {
		failed = fmt.Errorf("destination %s: neither the new configuration nor the old one starts: %w", id, errors.Join(err, failed))
		p.failed(failed)
		return failed
	}
	return fmt.Errorf("the old one goes on: %w", err)
}

// A start that fails is tried again: a broker may be away for a moment.
const (
	launchTries   = 3
	launchPause   = time.Second
	launchTimeout = time.Minute // for all tries together
)

// launch starts d in place of another that has ended, nil: beside the others.
// It returns when d reads.
func (p *Pipeline) launch(ctx context.Context, d Destination, instead *running) error {
	err := try(ctx, func() error {
		r, err := p.newRunning(d)
		if err != nil {
			return err
		}
		return p.begin(ctx, r, instead)
	})
	if err == nil || errors.Is(err, ErrClosed) {
		return err
	}
	return fmt.Errorf("destination %s does not start: %w", d.Destination.ID(), err)
}

// try starts something by f, launchTries times at most, and not again once the
// pipeline has ended. The error is that of every try.
func try(ctx context.Context, f func() error) error {
	var errs []error
	for n := range launchTries {
		if n > 0 {
			if err := pause(ctx, nil, launchPause); err != nil {
				break
			}
		}
		err := f()
		if err == nil || errors.Is(err, ErrClosed) {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// begin runs r and waits until it reads. One that does not is closed, and the
// list is as it was.
func (p *Pipeline) begin(ctx context.Context, r, instead *running) error {
	r.settled.Store(true)
	p.mu.Lock()
	l := p.life
	if p.draining || l != nil && l.over {
		p.mu.Unlock()
		return errors.Join(ErrClosed, r.close(instead == nil))
	}
	if instead != nil {
		instead.mu.Lock()
		r.backlog = instead.backlog // until the broker is asked again
		instead.mu.Unlock()
	}
	p.listLocked(instead, r) // before it runs, so that Drain and Close find it
	if note, ok := p.pauses[r.id]; ok {
		r.scheduler().Pause(note.At)
	}
	if l != nil {
		for _, s := range r.stages() {
			p.start(l, s, true)
		}
	}
	p.mu.Unlock()
	if l == nil {
		return nil
	}
	for _, s := range r.stages() {
		if err := p.begun(ctx, s); err != nil {
			err = errors.Join(err, r.close(instead == nil))
			p.list(r, instead)
			return err
		}
	}
	return nil
}

// begun waits until a stage reads. From then on that it ends ends the pipeline.
func (p *Pipeline) begun(ctx context.Context, s *stage) error {
	select {
	case <-s.router.Running():
	case <-s.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.beginning.Store(false)
	select {
	case <-s.ended:
		if s.err == nil || s.stopping.Load() {
			return ErrClosed
		}
		return s.err
	default:
		return nil
	}
}

// end drains r within ctx and closes it. An attempt that is cut is made again
// by whoever reads next.
func (r *running) end(ctx context.Context, last bool) error {
	r.mu.Lock()
	r.ending = true
	r.mu.Unlock()
	if err := r.drain(ctx); err != nil {
		r.pipeline.cfg.Logger.Warn("attempts of a destination that ends were cut; they are made again",
			slog.String("destination", r.id), slog.Any("error", err))
	}
	return r.close(last)
}

// find returns nil for a destination that there is not.
func (p *Pipeline) find(id string) *running {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.findLocked(id)
}

func (p *Pipeline) findLocked(id string) *running {
	for _, r := range p.dests {
		if r.id == id {
			return r
		}
	}
	return nil
}

// list puts r in the place of old; nil: there was none, or there is none.
func (p *Pipeline) list(old, r *running) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listLocked(old, r)
}

func (p *Pipeline) listLocked(old, r *running) {
	i := slices.Index(p.dests, old)
	switch {
	case i < 0 && r != nil:
		p.dests = append(p.dests, r)
	case i >= 0 && r != nil:
		p.dests[i] = r
	case i >= 0:
		p.dests = slices.Delete(p.dests, i, i+1)
	}
}

// turns are taken by what changes a destination: one at a time for each.
type turns struct {
	mu sync.Mutex
	of map[string]chan struct{}
}

// take returns what gives the turn back, or the error of ctx.
func (t *turns) take(ctx context.Context, id string) (func(), error) {
	t.mu.Lock()
	if t.of == nil {
		t.of = map[string]chan struct{}{}
	}
	turn, ok := t.of[id]
	if !ok {
		turn = make(chan struct{}, 1)
		t.of[id] = turn
	}
	t.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("destination %s is being changed: %w", id, ctx.Err())
	}
}
