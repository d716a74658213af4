package app

import (
	"errors"
	"fmt"
	"io"

	"eventserver/app/config"
	"eventserver/app/version"
	"eventserver/destinations"
	"eventserver/destinations/file"
	"eventserver/destinations/kafka"
	"eventserver/destinations/log"
	"eventserver/destinations/webhook"
	"eventserver/router"
	"eventserver/router/expr"
)

// Kind makes destinations of one kind from their part of the configuration.
type Kind struct {
	name      string
	zero      any // an empty configuration, for the reference
	check     config.KindCheck
	decode    func(s *config.Settings) (any, error) // its own configuration
	build     func(id string, cfg any) (destinations.Destination, error)
	batch     bool
	exclusive *exclusive
}

// exclusive says what a destination has for itself.
type exclusive struct {
	key   string // of the configuration
	thing func(cfg any) string
}

// Exclusive says that two destinations of the kind cannot be open on the same
// thing at once. When the configuration changes while the server runs, the new
// one is built before the old one is closed where that works, and after it
// where it does not. The value of key names the thing; thing is equal for two
// configurations that name the same one.
func (k Kind) Exclusive(key string, thing func(cfg any) string) Kind {
	k.exclusive = &exclusive{key, thing}
	return k
}

// TakesBatches says that the kind's destinations implement
// destinations.Batcher; without it `batch` is a fault of the configuration.
func (k Kind) TakesBatches() Kind {
	k.batch = true
	return k
}

// checked is the kind's part of reading a file.
func (k Kind) checked(s *config.Settings) error {
	err := k.check(s)
	if s.Common().Batch != nil && !k.batch {
		err = errors.Join(err, fmt.Errorf("batch: kind %s takes no batches; delete it", k.name))
	}
	return err
}

// NewKind registers a kind under name. C is a struct with yaml, default and doc
// tags; its Validate method, when it has one, is called when the file is read.
// Destinations that implement io.Closer are closed when the app stops.
func NewKind[C any](name string, build func(id string, cfg C) (destinations.Destination, error)) Kind {
	var zero C
	return Kind{
		name: name, zero: zero, check: check[C],
		decode: func(s *config.Settings) (any, error) {
			var cfg C
			err := s.Decode(&cfg)
			return cfg, err
		},
		build: func(id string, cfg any) (destinations.Destination, error) { return build(id, cfg.(C)) },
	}
}

// check finds the faults of one destination: its kind's keys, and the
// expressions, which only the router's compiler can judge.
func check[C any](s *config.Settings) error {
	var cfg C
	_, _, err := expressions(s.Common(), 0) // readable compares with http.max_event_bytes
	return errors.Join(s.Decode(&cfg), err)
}

// readable finds the filters and transforms that read bodies larger than an
// expression reads.
func readable(cfg *config.Config) error {
	var errs []error
	for i, c := range cfg.Destinations {
		if _, _, err := expressions(c, int(cfg.HTTP.MaxEventBytes)); err != nil {
			joined, _ := err.(interface{ Unwrap() []error }) // expressions joins them
			for _, one := range joined.Unwrap() {
				errs = append(errs, fmt.Errorf("destinations[%d].%w", i, one))
			}
		}
	}
	return errors.Join(errs...)
}

// shared finds destinations of an exclusive kind that want one thing: the second
// could never open it.
func (o Options) shared(cfg *config.Config) error {
	kinds, first := o.kinds(), map[[2]string]int{}
	var errs []error
	for i, d := range cfg.Destinations {
		k := kinds[d.Kind]
		if k.exclusive == nil || d.Settings == nil {
			continue
		}
		own, err := k.decode(d.Settings)
		if err != nil {
			continue // the kind's own check says it
		}
		id := [2]string{d.Kind, k.exclusive.thing(own)}
		if other, taken := first[id]; taken {
			errs = append(errs, fmt.Errorf("destinations[%d].%s: is that of destinations[%d] already, and each needs its own; give another", i, k.exclusive.key, other))
			continue
		}
		first[id] = i
	}
	return errors.Join(errs...)
}

// expressions compiles what the destination has of filter and transform.
// eventBytes is http.max_event_bytes, which their limits follow.
func expressions(c config.Destination, eventBytes int) (router.Filter, router.Transform, error) {
	var (
		filter    router.Filter
		transform router.Transform
		errs      []error
	)
	if c.Filter != "" {
		f, err := expr.CompileFilter(c.Filter, eventBytes)
		if err != nil {
			errs = append(errs, fmt.Errorf("filter: %w", err))
		}
		filter = f
	}
	if c.Transform != "" {
		t, err := expr.CompileTransform(c.Transform, eventBytes)
		if err != nil {
			errs = append(errs, fmt.Errorf("transform: %w", err))
		}
		transform = t
	}
	return filter, transform, errors.Join(errs...)
}

// builtin is the list of kinds that event-server comes with.
func builtin(stdout io.Writer) []Kind {
	return []Kind{
		NewKind(log.Kind, func(id string, c log.Config) (destinations.Destination, error) { return log.New(id, c, stdout) }),
		NewKind(webhook.Kind, func(id string, c webhook.Config) (destinations.Destination, error) {
			c.UserAgent = version.Get().Product()
			return webhook.New(id, c)
		}).TakesBatches(),
		NewKind(file.Kind, func(id string, c file.Config) (destinations.Destination, error) { return file.New(id, c) }).TakesBatches().
			Exclusive("path", func(cfg any) string { return cfg.(file.Config).File() }),
		NewKind(kafka.Kind, func(id string, c kafka.Config) (destinations.Destination, error) { return kafka.New(id, c) }),
	}
}

// kinds are the built-in kinds and those of the caller, which win.
func (o Options) kinds() map[string]Kind {
	all := map[string]Kind{}
	for _, k := range append(builtin(o.stdout()), o.Kinds...) {
		all[k.name] = k
	}
	return all
}

func (o Options) checks() map[string]config.KindCheck {
	checks := map[string]config.KindCheck{}
	for name, k := range o.kinds() {
		checks[name] = k.checked
	}
	return checks
}
