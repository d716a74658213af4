package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"eventserver/app/admin"
	"eventserver/app/config"
	"eventserver/infra"
	"eventserver/router"
	"eventserver/router/control"
	"eventserver/router/record"
)

// Changes is what a reload did. The names are ids of destinations.
type Changes struct {
	Added, Changed, Removed, Unchanged []string
	Undelivered                        map[string]int64 // events that removed ones have not been sent
	LogLevel                           string           // the new one; "": as it was
	Schemas                            bool             // events are judged by other schemas or modes now
}

// None says that the configuration was what is in force already.
func (c Changes) None() bool {
	return len(c.Added)+len(c.Changed)+len(c.Removed) == 0 && c.LogLevel == "" && !c.Schemas
}

// Config is the configuration in force.
func (a *App) Config() *config.Config {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current
}

// ErrNoSource is the error of ReloadSource where there is no file.
var ErrNoSource = errors.New("the server was started without --config; there is no file to read again")

// ReloadSource reads the configuration again, makes it the one in force and
// writes one line about what changed, or why nothing did.
func (a *App) ReloadSource(ctx context.Context, by string) (Changes, error) {
	var c Changes
	err := ErrNoSource
	if a.options.Source != nil {
		c, err = a.reload(ctx, a.options.Source)
	}
	a.reloaded(by, c, err)
	attrs := []any{slog.String("by", by), slog.Any("added", c.Added), slog.Any("changed", c.Changed), slog.Any("removed", c.Removed), slog.Int("unchanged", len(c.Unchanged))}
	if len(c.Undelivered) > 0 {
		attrs = append(attrs, slog.Any("undelivered", c.Undelivered))
	}
	if c.LogLevel != "" {
		attrs = append(attrs, slog.String("log.level", c.LogLevel))
	}
	if c.Schemas {
		attrs = append(attrs, slog.Bool("schemas", true))
	}
	switch {
	case err != nil && c.None():
		a.log.Error("configuration not reloaded; nothing has changed", slog.String("by", by), slog.Any("error", err))
	case err != nil:
		a.log.Error("configuration reloaded in part", append(attrs, slog.Any("error", err))...)
	default:
		a.log.Info("configuration reloaded", attrs...)
		a.warn(a.Config())
	}
	return c, err
}

// loaded notes that the configuration of the file is the one in force.
func (a *App) loaded() {
	a.metrics.ConfigReloaded.Set(1)
	a.metrics.ConfigReloadedAt.SetToCurrentTime()
}

// warn says what of a configuration will fail at each use.
func (a *App) warn(cfg *config.Config) {
	for _, w := range cfg.Warnings() {
		a.log.Warn("the configuration has what cannot work", slog.String("key", w.Path), slog.Int("line", w.Line), slog.String("fault", w.Msg))
	}
}

// reloaded notes what came of a reload, for metrics and operators.
func (a *App) reloaded(by string, c Changes, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.failure = nil
		a.loaded()
		return
	}
	a.failure = &admin.ReloadFailure{At: time.Now().UTC(), By: by, Error: err.Error(), Partly: !c.None()}
	a.metrics.ConfigReloaded.Set(0)
}

// Reload makes next the configuration in force: destinations come, go and are
// replaced, and what has not changed is not touched. Everything new is built and
// its topics are made before anything old is stopped; an error means that nothing
// has changed, unless Changes says otherwise. What cannot change while the server
// runs is refused with every key named.
func (a *App) Reload(ctx context.Context, next *config.Config) (Changes, error) {
	return a.reload(ctx, func() (*config.Config, error) { return next, nil })
}

// reload reads the source in its turn: of two reloads the later one must not be
// undone by what the earlier one has read.
func (a *App) reload(ctx context.Context, source func() (*config.Config, error)) (Changes, error) {
	select {
	case a.reloads <- struct{}{}:
		defer func() { <-a.reloads }()
	case <-ctx.Done():
		return Changes{}, fmt.Errorf("another reload is under way: %w", ctx.Err())
	}
	if a.life.Err() != nil {
		return Changes{}, errors.New("the server is stopping")
	}
	next, err := a.read(ctx, source)
	if err != nil {
		return Changes{}, err
	}
	p, err := a.plan(next)
	if err != nil {
		return Changes{}, errors.Join(err, p.discard())
	}
	if err := a.prepare(ctx, p); err != nil {
		return Changes{}, errors.Join(err, p.discard())
	}
	// From here on whoever asked may go away: a change is not left half done.
	return a.apply(p)
}

// readTimeout is for a file system that hangs: reading a configuration and its
// schemas takes milliseconds.
const readTimeout = time.Minute

// read asks the source, and leaves it behind where it does not come back: a
// reload holds up the stop and all later reloads.
func (a *App) read(ctx context.Context, source func() (*config.Config, error)) (*config.Config, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	defer context.AfterFunc(a.life, cancel)()
	type result struct {
		next *config.Config
		err  error
	}
	done := make(chan result, 1)
	go func() {
		next, err := source()
		done <- result{next, err}
	}()
	select {
	case r := <-done:
		return r.next, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("the configuration could not be read in time: %w; look at the file system that it is on", ctx.Err())
	}
}

// prepare builds what is new and makes its topics.
func (a *App) prepare(ctx context.Context, p *plan) error {
	var errs []error
	var topics []infra.Topic
	for _, s := range p.added {
		d, err := s.build()
		if err != nil {
			errs = append(errs, fmt.Errorf("destination %s: %w", s.config.ID, err))
			continue
		}
		p.prebuilt[s] = d
		topics = append(topics, record.Topics(s.config.ID)[1:]...)
	}
	for _, s := range p.changed {
		d, err := s.build()
		switch {
		case err == nil:
			p.prebuilt[s] = d
		case s.kind.exclusive == nil: // else it is built when the old one is closed
			errs = append(errs, fmt.Errorf("destination %s: %w", s.config.ID, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if len(topics) > 0 {
		var added []config.Destination
		for _, s := range p.added {
			added = append(added, s.config)
		}
		put := func(ctx context.Context, r control.Record) error { _, err := a.control.Put(ctx, r); return err }
		if err := a.appear(ctx, added, put); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, topicsTimeout)
		defer cancel()
		if err := a.broker.EnsureTopics(ctx, topics...); err != nil {
			return fmt.Errorf("the broker does not make the topics of a new destination: %w", err)
		}
	}
	a.broker.AllowRelease(releaseTimeout(p.next))
	return nil
}

// apply does it: what comes, what changes, what goes. The first two can fail
// only where the broker does.
func (a *App) apply(p *plan) (Changes, error) {
	var c Changes
	var errs []error
	now := a.Config()
	for _, s := range p.added {
		ctx, cancel := a.bound()
		err := a.pipeline.Add(ctx, p.prebuilt[s])
		cancel()
		if err != nil { // those before it go again: nothing has changed
			errs = append(errs, err)
			for _, id := range c.Added {
				ctx, cancel := a.bound()
				errs = append(errs, a.pipeline.Remove(ctx, id))
				cancel()
			}
			return Changes{}, errors.Join(append(errs, p.discard())...)
		}
		c.Added = append(c.Added, s.config.ID)
		if a.poison != nil { // another instance may have forgotten it, and its poison queue
			a.poison.Drop(s.config.ID)
		}
	}
	for i, err := range a.replaceAll(p) {
		s := p.changed[i]
		if err != nil {
			p.changed[i] = nil
			errs = append(errs, fmt.Errorf("destination %s: %w", s.config.ID, err))
			p.keepOld(a, now, s)
			continue
		}
		c.Changed = append(c.Changed, s.config.ID)
	}
	var wg sync.WaitGroup
	for _, s := range p.removed {
		wg.Go(func() { a.remove(s) })
		c.Removed = append(c.Removed, s.config.ID)
	}
	wg.Wait()
	c.Undelivered = a.undeliveredOf(c.Removed)
	if p.policy != nil {
		warnOf(p.policy, a.log)
		a.contract.use(p.policy)
		c.Schemas = true
	}
	if p.level != "" {
		var l slog.Level
		_ = l.UnmarshalText([]byte(p.level)) // the configuration was checked
		a.options.Level.Set(l)
		c.LogLevel = p.level
	}
	for _, s := range p.all {
		if id := s.config.ID; !slices.Contains(c.Added, id) && !slices.Contains(c.Changed, id) {
			c.Unchanged = append(c.Unchanged, id)
		}
	}
	a.mu.Lock()
	a.current, a.served = p.next, p.all
	a.mu.Unlock()
	return c, errors.Join(errs...)
}

// keepOld leaves the old one in the lists, where the new one did not start.
func (p *plan) keepOld(a *App, now *config.Config, s *served) {
	next := *p.next
	next.Destinations = slices.Clone(next.Destinations)
	for i, c := range next.Destinations {
		if c.ID != s.config.ID {
			continue
		}
		for _, was := range now.Destinations {
			if was.ID == c.ID {
				next.Destinations[i] = was
			}
		}
		for _, was := range a.served {
			if was.config.ID == c.ID {
				p.all[i] = was
			}
		}
	}
	p.next = &next
}

// bound is how long a destination may take to come or to go.
func (a *App) bound() (context.Context, context.CancelFunc) {
	return context.WithTimeout(a.life, a.cfg.HTTP.ShutdownTimeout)
}

// remove ends s for good.
func (a *App) remove(s *served) {
	ctx, cancel := a.bound()
	defer cancel()
	if err := errors.Join(a.pipeline.Remove(ctx, s.config.ID), s.close(), a.leave(ctx, s.config.ID)); err != nil {
		a.log.Warn("a destination that was removed did not end cleanly", slog.String("destination", s.config.ID), slog.Any("error", err))
	}
}

// replaceAll replaces what has changed and returns the error of each. Those that
// are built go at once: each may have attempts that end only with the time that
// they are given. What is built when the old one is closed goes alone, so that
// no other can take its place when the old one must come back.
func (a *App) replaceAll(p *plan) []error {
	errs := make([]error, len(p.changed))
	var wg sync.WaitGroup
	for i, s := range p.changed {
		if _, built := p.prebuilt[s]; built {
			wg.Go(func() { errs[i] = a.replace(p, s) })
		}
	}
	wg.Wait()
	for i, s := range p.changed {
		if _, built := p.prebuilt[s]; !built {
			errs[i] = a.replace(p, s)
		}
	}
	return errs
}

// replace puts s in the place of the old one of its id.
func (a *App) replace(p *plan, s *served) error {
	var old *served
	for _, was := range a.served {
		if was.config.ID == s.config.ID {
			old = was
		}
	}
	ctx, cancel := a.bound()
	defer cancel()
	d, built := p.prebuilt[s]
	build, restore := func() (router.Destination, error) { return d, nil }, (func() (router.Destination, error))(nil)
	if !built {
		build = func() (router.Destination, error) {
			if err := old.close(); err != nil {
				a.log.Warn("a destination that was replaced did not end cleanly", slog.String("destination", s.config.ID), slog.Any("error", err))
			}
			return s.build()
		}
		restore = func() (router.Destination, error) {
			if err := s.close(); err != nil {
				return router.Destination{}, err
			}
			return old.build()
		}
	}
	if err := a.pipeline.Rebuild(ctx, s.config.ID, build, restore); err != nil {
		return errors.Join(err, s.close())
	}
	if err := old.close(); err != nil {
		a.log.Warn("a destination that was replaced did not end cleanly", slog.String("destination", s.config.ID), slog.Any("error", err))
	}
	return nil
}
