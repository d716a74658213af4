package app

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"

	"eventserver/app/config"
	"eventserver/destinations"
	"eventserver/router"
	"eventserver/router/attempt"
)

// served is a destination with what it was built of.
type served struct {
	config   config.Destination // without Settings
	kind     Kind
	settings any // of the kind, decoded: with what the environment and secret files said then
	base     router.Destination
	open     destinations.Destination // nil: not built, or closed
	missing  error                    // values that the kind may need and config.Checks.Partly left out
}

// newServed decodes and compiles what c says, and opens nothing.
func newServed(kinds map[string]Kind, c config.Destination, eventBytes int, judge *contract) (*served, error) {
	kind, ok := kinds[c.Kind]
	if !ok {
		return nil, fmt.Errorf("kind: %q is not known", c.Kind)
	}
	s := &served{config: c, kind: kind, base: router.Destination{
		Kind: c.Kind, Types: c.Types, Timeout: c.Timeout, Concurrency: c.Concurrency,
		Rate:        attempt.RateLimit{PerSecond: c.RateLimit.PerSecond, Burst: c.RateLimit.Burst},
		Retry:       attempt.Retry{Initial: c.Retry.Initial, Max: c.Retry.Max, Attempts: c.Retry.Attempts, MaxAge: c.Retry.MaxAge},
		Breaker:     attempt.Breaker{Failures: c.Breaker.Failures, Initial: c.Breaker.Initial, Max: c.Breaker.Max},
		FloodGuard:  c.FloodGuard,
		OnExhausted: attempt.OnExhausted(c.OnExhausted),
	}}
	if b := c.Batch; b != nil {
		s.base.Batch = attempt.Batch{MaxEvents: b.MaxEvents, MaxWait: b.MaxWait, MaxBytes: int(b.MaxBytes)}
	}
	var exprErr, err error
	s.base.Filter, s.base.Transform, exprErr = expressions(c, eventBytes)
	s.settings, err = kind.decode(c.Settings)
	s.missing = c.Settings.Missing()
	s.config.Settings = nil
	judge.bind(&s.base, c.Schema)
	return s, errors.Join(exprErr, err)
}

// build opens the destination, which close closes.
func (s *served) build() (router.Destination, error) {
	d := s.base
	dest, err := s.kind.build(s.config.ID, s.settings)
	if err != nil {
		return d, cmp.Or(s.missing, err)
	}
	d.Destination, s.open = dest, dest
	return d, nil
}

// close may be called at any time, but not in parallel.
func (s *served) close() error {
	c, ok := s.open.(io.Closer)
	s.open = nil
	if !ok {
		return nil
	}
	return c.Close()
}

// same says that the two differ in nothing, secrets included.
func (s *served) same(o *served) bool {
	return reflect.DeepEqual(s.config, o.config) && reflect.DeepEqual(s.settings, o.settings)
}

// destinations builds what the configuration lists; every fault is reported.
func (a *App) destinations(cfg *config.Config) ([]router.Destination, error) {
	var out []router.Destination
	var errs []error
	for i, c := range cfg.Destinations {
		s, err := newServed(a.kinds, c, int(cfg.HTTP.MaxEventBytes), a.contract)
		var d router.Destination
		if err == nil {
			d, err = s.build()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("destinations[%d] (%s): %w", i, c.ID, err))
			continue
		}
		a.served = append(a.served, s)
		out = append(out, d)
	}
	return out, errors.Join(errs...)
}

// buildDestination builds one without schemas.
func buildDestination(kinds map[string]Kind, c config.Destination, eventBytes int) (router.Destination, error) {
	s, err := newServed(kinds, c, eventBytes, nil)
	if err != nil {
		return router.Destination{}, err
	}
	return s.build()
}
