package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"eventserver/app/config"
	"eventserver/infra"
)

// BrokerKind opens brokers of one kind: logs of a program's own.
type BrokerKind struct {
	name  string
	check config.KindCheck
	open  func(ctx context.Context, b BrokerConfig, s *config.Settings) (infra.Log, error)
}

// BrokerConfig is what the configuration says of every broker.
type BrokerConfig struct {
	Dir         string // broker.dir
	Sync        bool   // broker.sync
	Partitions  int32  // of topics that are created
	RecordBytes int    // the log must take records of this size, at least
	InstanceID  string // of this process among those that share the work
	Logger      *slog.Logger
	// Fatal is for a log that cannot go on, such as when its disk failed: the
	// process stops with the error.
	Fatal func(error)
	// Damaged is for damage that the log meets by itself, such as a file that is cut
	// short, once for each place: a problem, a metric and an alert tell of it. What a
	// cursor returns as an *infra.DamageError is told without it.
	Damaged func(*infra.DamageError)
}

// NewBroker registers a kind of broker under name, for broker.kind. C is a struct
// with yaml, default and doc tags: the kind's own keys below broker; its Validate
// method, when it has one, is called when the file is read. Everything above the log,
// the read window, exact progress, the order of keys, is event-server's. The tests of
// infra/brokertest hold a log to its contract.
func NewBroker[C any](name string, open func(ctx context.Context, b BrokerConfig, cfg C) (infra.Log, error)) BrokerKind {
	return BrokerKind{
		name: name, check: config.CheckInto[C],
		open: func(ctx context.Context, b BrokerConfig, s *config.Settings) (infra.Log, error) {
			var cfg C
			if err := s.Decode(&cfg); err != nil {
				return nil, err
			}
			return open(ctx, b, cfg)
		},
	}
}

// brokers are the caller's own kinds, which win.
func (o Options) brokers() map[string]BrokerKind {
	all := map[string]BrokerKind{}
	for _, k := range o.Brokers {
		all[k.name] = k
	}
	return all
}

func (o Options) brokerChecks() map[string]config.KindCheck {
	checks := map[string]config.KindCheck{}
	for name, k := range o.brokers() {
		checks[name] = k.check
	}
	return checks
}

// broker opens the log that the configuration names, and the broker on it.
func (k BrokerKind) broker(ctx context.Context, c *config.Config, log *slog.Logger, to hooks) (infra.Broker, error) {
	if c.Broker.Settings == nil {
		return nil, fmt.Errorf("broker.kind: %s was read without its kind; read the configuration with the same app.Options", k.name)
	}
	damaged := func(*infra.DamageError) {}
	if to.damage != nil {
		damaged = to.damage.Met
	}
	l, err := k.open(ctx, BrokerConfig{
		Dir: c.Broker.Dir, Sync: c.Broker.Sync, Partitions: c.Broker.Partitions, RecordBytes: recordLimit(c), InstanceID: c.Broker.InstanceID, Logger: log,
		Fatal: to.fatal, Damaged: damaged,
	}, c.Broker.Settings)
	if err != nil {
		return nil, fmt.Errorf("broker of kind %s: %w", k.name, err)
	}
	if most, need := l.Limits().RecordBytes, recordLimit(c); most < need {
		return nil, errors.Join(fmt.Errorf("broker.kind: %s takes records of %d bytes, and http.max_event_bytes needs %d; lower it", k.name, most, need), l.Close())
	}
	return onLog(l, c, c.Broker.TrimAge, log, to)
}
