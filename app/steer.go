package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"eventserver/app/control"
	"eventserver/infra"
	"eventserver/router"
)

// openControl reads what operators did before this start, and has the pipeline
// go by it before its first attempt.
func (a *App) openControl(ctx context.Context) error {
	if err := a.broker.EnsureTopics(ctx, append(control.Topics(), infra.Topic{Name: router.EventsTopic})...); err != nil {
		return fmt.Errorf("topics: %w", err)
	}
	var err error
	a.control, err = control.Open(ctx, control.Config{Broker: a.broker, Instance: a.cfg.Broker.InstanceID, Logger: a.log})
	if err != nil {
		return err
	}
	for _, r := range a.control.Records() {
		if !r.On {
			continue
		}
		switch r.Kind {
		case control.Pause:
			a.pipeline.Pause(r.Destination, noteOf(r))
			a.log.Warn("destination is paused", slog.String("destination", r.Destination), slog.String("by", r.By), slog.String("why", r.Why), slog.Time("since", r.At))
		case control.Replay:
			err = errors.Join(err, a.pipeline.Suspend(ctx, r.Destination, noteOf(r)))
			a.suspended[r.Destination] = true
			a.log.Warn("a replay of the destination has not ended", slog.String("destination", r.Destination), slog.String("by", r.By), slog.Time("since", r.At))
		}
	}
	return err
}

func noteOf(r control.Record) router.Note { return router.Note{By: r.By, Why: r.Why, At: r.At} }

// followControl applies what operators do, here and at other instances, until
// ctx ends.
func (a *App) followControl(ctx context.Context) {
	changed := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.endOwnReplays(ctx)
		for {
			select {
			case <-changed:
				a.followReplays(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	a.control.Follow(ctx, func(r control.Record) {
		switch {
		case r.Kind == control.Replay:
			select {
			case changed <- struct{}{}:
			default:
			}
		case r.Kind == control.Retry:
			a.retryNow(r)
		case r.Kind != control.Pause:
		case r.On:
			a.pipeline.Pause(r.Destination, noteOf(r))
			a.log.Warn("destination is paused", slog.String("destination", r.Destination), slog.String("by", r.By), slog.String("why", r.Why))
		default:
			a.pipeline.Resume(r.Destination)
			a.log.Info("destination is resumed", slog.String("destination", r.Destination), slog.String("by", r.By))
		}
	})
	<-done
}

// UnknownDestinationError is the error of what is asked of a destination that
// the configuration does not have.
type UnknownDestinationError struct {
	ID    string
	There []string
}

func (e *UnknownDestinationError) Error() string {
	if len(e.There) == 0 {
		return fmt.Sprintf("there is no destination %q; the configuration has none", e.ID)
	}
	return fmt.Sprintf("there is no destination %q; the configuration has %s", e.ID, strings.Join(e.There, ", "))
}

func (a *App) known(id string) error {
	var there []string
	for _, d := range a.Config().Destinations {
		there = append(there, d.ID)
	}
	if slices.Contains(there, id) {
		return nil
	}
	return &UnknownDestinationError{ID: id, There: there}
}

// Destinations tells what each destination looks like now, in the order of the
// configuration.
func (a *App) Destinations() []router.Status {
	var out []router.Status
	for _, d := range a.Config().Destinations {
		if s, ok := a.pipeline.Status(d.ID); ok {
			out = append(out, s)
		}
	}
	return out
}

// Pause holds back the attempts of a destination, at every instance and through
// restarts, until Resume. absent also takes the id of one that this server does
// not have: another program on the same broker may.
func (a *App) Pause(ctx context.Context, id, by, why string, absent bool) error {
	if err := a.known(id); err != nil && !absent {
		return err
	}
	_, err := a.control.Put(ctx, control.Record{Kind: control.Pause, Destination: id, On: true, By: by, Why: why})
	return err
}

// Resume ends a pause, and a replay that was cut short. It returns what it
// ended: nothing is no error.
func (a *App) Resume(ctx context.Context, id, by string, absent bool) (ended []string, err error) {
	if err := a.known(id); err != nil && !absent {
		return nil, err
	}
	a.mu.Lock()
	busy := a.replays[id]
	a.mu.Unlock()
	if busy {
		return nil, fmt.Errorf("%w in this server, and ends by itself; see its state", ErrBusy)
	}
	for _, kind := range []string{control.Pause, control.Replay} {
		if r, ok := a.control.Last(kind, id); !ok || !r.On {
			continue
		}
		if _, err := a.control.Put(ctx, control.Record{Kind: kind, Destination: id, By: by}); err != nil {
			return ended, err
		}
		ended = append(ended, kind)
	}
	return ended, nil
}

// controlTimeout bounds what the end of a start or of a replay waits for.
const controlTimeout = 30 * time.Second
