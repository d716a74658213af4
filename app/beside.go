package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"

	"eventserver/app/config"
	"eventserver/infra"
	"eventserver/infra/local"
)

// A program beside the server reaches its events in one of three ways: through
// the admin API of the server that runs, on a cluster that both use, or in the
// directory of a server that is stopped. The first is the commands' own business;
// here are the others.

// InProcess reports whether the broker is in the server's own process, where no
// other program reaches it.
func InProcess(cfg *config.Config) bool {
	return cfg.Broker.Kind == "embedded" || cfg.Broker.Kind == "memory"
}

// needShared refuses a broker that is in the server's process, for a program in a
// process of its own. instead says what to do there.
func needShared(cfg *config.Config, instead string) error {
	if !InProcess(cfg) {
		return nil
	}
	return fmt.Errorf("broker.kind: %s is in the server's own process, where no other program reaches it; %s, or use broker.kind: kafka", cfg.Broker.Kind, instead)
}

// openBeside opens the broker of a server for a command that got no answer from
// it. With the embedded broker readOnly leaves the directory as it is.
func (o Options) openBeside(ctx context.Context, cfg *config.Config, log *slog.Logger, readOnly bool) (infra.Broker, error) {
	switch {
	case !InProcess(cfg):
		return o.openBroker(ctx, cfg, log, hooks{})
	case cfg.Broker.Kind == "embedded":
		return openStopped(cfg, log, readOnly, hooks{})
	}
	return nil, fmt.Errorf("broker.kind: %s is in the memory of the server's process, and its admin API is the only way to it: see admin.addr", cfg.Broker.Kind)
}

// openStopped opens the directory of a server that is stopped, which must have
// stored something there.
func openStopped(cfg *config.Config, log *slog.Logger, readOnly bool, to hooks) (infra.Broker, error) {
	b, err := openLocal(cfg, local.Config{Dir: cfg.Broker.Dir, ReadOnly: readOnly, MustExist: true, NoSync: !cfg.Broker.Sync}, 0, log, to)
	switch {
	case errors.Is(err, local.ErrLocked):
		return nil, fmt.Errorf("broker.dir: a server runs on %s, and its admin API is the only way to it: see admin.addr", cfg.Broker.Dir)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("broker.dir: no server has stored anything in %s", cfg.Broker.Dir)
	case err != nil:
		return nil, err
	}
	return b, nil
}

// openTailSource opens what Tail reads.
func (o Options) openTailSource(ctx context.Context, cfg *config.Config) (*tailSource, error) {
	log := o.logger()
	b, err := o.openBeside(ctx, cfg, log, true)
	if err != nil {
		return nil, err
	}
	r := tailSourceOf(b, cfg)
	r.grows = !InProcess(cfg)
	return r, nil
}

// tailSourceOf is a broker that is open.
func tailSourceOf(b infra.Broker, cfg *config.Config) *tailSource {
	r := &tailSource{Reader: b, name: func(topic string) string { return topicName(cfg, topic) }, grows: true, close: b.Close}
	r.topics = func(ctx context.Context) ([]string, error) {
		names, err := b.Topics(ctx)
		for i := range names {
			names[i] = r.name(names[i])
		}
		slices.Sort(names)
		return names, err
	}
	return r
}
