package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"eventserver/infra"
	"eventserver/router"
	"eventserver/router/control"
	"eventserver/router/record"
)

// openControl reads what operators did before this start, and has the pipeline
// go by it before its first attempt.
func (a *App) openControl(ctx context.Context) error {
	if err := a.broker.EnsureTopics(ctx, append(control.Topics(), infra.Topic{Name: record.EventsTopic})...); err != nil {
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
		case r.Kind == control.Hold:
			a.letGo(r)
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

// holdData is what a control record of the end of a hold carries.
type holdData struct {
	AcceptFailures bool `json:"accept_failures,omitempty"`
}

// letGo applies a record.
func (a *App) letGo(r control.Record) {
	var data holdData
	if err := json.Unmarshal(r.Data, &data); err != nil { // of a later version
		a.log.Warn("a control record is not understood", slog.String("kind", r.Kind), slog.String("destination", r.Destination))
		return
	}
	if a.pipeline.LetGo(r.Destination, data.AcceptFailures) {
		a.log.Info("the hold of the destination is ended", slog.String("destination", r.Destination), slog.String("by", r.By), slog.Bool("accept_failures", data.AcceptFailures))
	}
}

// Resume ends a pause, a hold, and a replay that was cut short. With accept, events that
// the destination refuses are given up again, until it takes one. It returns what it
// ended, of holds that of this instance: nothing is no error.
func (a *App) Resume(ctx context.Context, id, by string, absent, accept bool) (ended []string, err error) {
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
	s, _ := a.pipeline.Status(id)
	data, err := json.Marshal(holdData{AcceptFailures: accept})
	if err != nil {
		return ended, err
	}
	if _, err := a.control.Put(ctx, control.Record{Kind: control.Hold, Destination: id, By: by, Data: data}); err != nil {
		return ended, err
	}
	if s.Hold.Held {
		ended = append(ended, control.Hold)
	}
	return ended, nil
}

// controlTimeout bounds what the end of a start or of a replay waits for.
const controlTimeout = 30 * time.Second
