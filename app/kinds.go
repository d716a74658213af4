package app

import (
	"io"

	"eventserver/app/config"
	"eventserver/destinations"
	"eventserver/destinations/log"
)

// Kind makes destinations of one kind from their part of the configuration.
type Kind struct {
	name  string
	zero  any // an empty configuration, for the reference
	check config.KindCheck
	build func(id string, s *config.Settings) (destinations.Destination, error)
}

// NewKind registers a kind under name. C is a struct with yaml, default and doc
// tags; its Validate method, when it has one, is called when the file is read.
// Destinations that implement io.Closer are closed when the app stops.
func NewKind[C any](name string, build func(id string, cfg C) (destinations.Destination, error)) Kind {
	var zero C
	return Kind{
		name: name, zero: zero, check: config.CheckInto[C],
		build: func(id string, s *config.Settings) (destinations.Destination, error) {
			var cfg C
			if err := s.Decode(&cfg); err != nil {
				return nil, err
			}
			return build(id, cfg)
		},
	}
}

// builtin is the list of kinds that event-server comes with.
func builtin(stdout io.Writer) []Kind {
	return []Kind{
		NewKind(log.Kind, func(id string, c log.Config) (destinations.Destination, error) { return log.New(id, c, stdout) }),
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
		checks[name] = k.check
	}
	return checks
}
