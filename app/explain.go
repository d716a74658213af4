package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"eventserver/app/config"
	"eventserver/infra"
	"eventserver/router"
	"eventserver/router/control"
	"eventserver/router/explain"
)

// explainer asks the topics and groups of b. live is nil where nothing runs.
func explainer(b infra.Broker, cfg *config.Config, live explain.Live, dests func() []router.Destination, begins func(string) map[int32]int64) (*explain.Explainer, error) {
	return explain.New(explain.Config{Reader: b, Groups: b, Live: live, Destinations: dests, Begins: begins, Instance: cfg.Broker.InstanceID,
		ByPartition: cfg.Ordering == "partition"})
}

// Explain tells where an event is, from the broker alone: a cluster, or the
// directory of a stopped server. What an attempt, a breaker or
// a pause does at the moment is not known here.
func Explain(ctx context.Context, cfg *config.Config, o Options, q explain.Question) (_ *explain.Explanation, err error) {
	log := o.logger()
	judge, err := contractOf(cfg)
	if err != nil {
		return nil, err
	}
	var dests []router.Destination
	for i, c := range cfg.Destinations {
		d, err := buildDestination(o.kinds(), c, int(cfg.HTTP.MaxEventBytes))
		if err != nil {
			return nil, fmt.Errorf("destinations[%d] (%s): %w", i, c.ID, err)
		}
		if cl, ok := d.Destination.(io.Closer); ok {
			defer func() { err = errors.Join(err, cl.Close()) }()
		}
		judge.bind(&d, c.Schema)
		dests = append(dests, d)
	}
	b, err := o.openBeside(ctx, cfg, log, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	var beginnings func(string) map[int32]int64
	switch orders, err := control.Open(ctx, control.Config{Broker: b, Logger: log}); {
	case err == nil:
		beginnings = begins(orders)
	case !errors.Is(err, infra.ErrNoTopic): // no server has run yet
		log.Warn("it is not known where destinations began", slog.Any("error", err))
	}
	x, err := explainer(b, cfg, nil, func() []router.Destination { return dests }, beginnings)
	if err != nil {
		return nil, err
	}
	return x.Explain(ctx, q)
}
