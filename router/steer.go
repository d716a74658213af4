package router

import (
	"context"
	"errors"
	"eventserver/router/attempt"
	"fmt"
)

// Pause holds the attempts of a destination back until Resume. Those under way
// come to their end; aheadMost deliveries more are stored in its topic, and waiting
// spends nothing of a delivery's limits. A destination that is not there is paused when
// it comes.
func (p *Pipeline) Pause(id string, note Note) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pauses[id] = note
	if r := p.findLocked(id); r != nil {
		r.scheduler().Pause(note.At)
	}
}

// Resume ends a pause.
func (p *Pipeline) Resume(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pauses, id)
	if r := p.findLocked(id); r != nil {
		r.scheduler().Resume()
	}
}

// LetGo ends a hold: what waits is attempted again. Until a success, with accept, final
// answers give events up; without it the next one holds again. false: there was none here.
func (p *Pipeline) LetGo(id string, accept bool) bool {
	r := p.find(id)
	if r == nil {
		return false
	}
	delivers, transforms := r.scheduler().LetGo(accept), r.hold.letGo(accept)
	return delivers || transforms
}

// RetryNow ends the pauses of a destination's breaker and hold, and the backoffs of the keys
// that match, in this process. Their next attempts are made now, and nothing is
// spent by that. A pause by hand stays. A destination that is not there is none.
func (p *Pipeline) RetryNow(id string, key func(string) bool) (ended attempt.Waits) {
	r := p.find(id)
	if r == nil {
		return ended
	}
	ended = r.scheduler().RetryNow(key)
	ended.Pause = r.hold.retryNow() || ended.Pause
	return ended
}

// RetryWaits is what RetryNow would end.
func (p *Pipeline) RetryWaits(id string, key func(string) bool) (w attempt.Waits) {
	r := p.find(id)
	if r == nil {
		return w
	}
	w = r.scheduler().RetryWaits(key)
	w.Pause = w.Pause || r.hold.pausing()
	return w
}

// Suspend ends the transform stage of a destination, so that somebody may set
// its group's offsets back: this process has left the group when it returns.
// What is in the destination's topic is delivered meanwhile. A destination that
// is not there comes without the stage.
func (p *Pipeline) Suspend(ctx context.Context, id string, note Note) error {
	done, err := p.turns.take(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	p.mu.Lock()
	p.replays[id] = note
	r := p.findLocked(id)
	p.mu.Unlock()
	if r == nil {
		return nil
	}
	r.mu.Lock()
	s := r.transform
	r.mu.Unlock()
	if s == nil {
		return nil
	}
	err = errors.Join(s.drain(ctx), s.close(p))
	r.mu.Lock()
	r.transform = nil
	r.mu.Unlock()
	return err
}

// Proceed starts the transform stage again after Suspend. When it cannot be
// started Run ends with the error.
func (p *Pipeline) Proceed(ctx context.Context, id string) error {
	done, err := p.turns.take(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	p.mu.Lock()
	delete(p.replays, id)
	r := p.findLocked(id)
	p.mu.Unlock()
	if r == nil {
		return nil
	}
	r.mu.Lock()
	there := r.transform != nil
	r.mu.Unlock()
	if there {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), launchTimeout)
	defer cancel()
	err = try(ctx, func() error { return r.transformAgain(ctx) })
	if err == nil || errors.Is(err, ErrClosed) {
		return err
	}
	err = fmt.Errorf("destination %s does not go on transforming: %w", id, err)
	p.failed(err)
	return err
}

func (r *running) transformAgain(ctx context.Context) error {
	p := r.pipeline
	s, err := r.newTransform()
	if err != nil {
		return err
	}
	r.settled.Store(true)
	p.mu.Lock()
	l := p.life
	if p.draining || l != nil && l.over {
		p.mu.Unlock()
		return errors.Join(ErrClosed, s.close(p))
	}
	if l != nil {
		p.start(l, s, true)
	}
	r.mu.Lock() // after p.mu everywhere
	r.transform = s
	r.mu.Unlock()
	p.mu.Unlock()
	if l == nil {
		return nil
	}
	if err := p.begun(ctx, s); err != nil {
		err = errors.Join(err, s.close(p))
		r.mu.Lock()
		r.transform = nil
		r.mu.Unlock()
		return err
	}
	return nil
}
