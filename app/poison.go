package app

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/app/config"
	"eventserver/infra"
	"eventserver/router"
	"eventserver/router/poison"
	"eventserver/router/record"
)

// poisonService is the poison queues of the destinations that run.
func (a *App) poisonService() (*poison.Service, error) {
	return poison.New(poison.Config{
		Broker:       a.broker,
		Destinations: func() []string { return ids(a.Config()) },
		Again:        a.pipeline.Again,
		Settled:      a.metrics.Settled,
		Logger:       a.log,
	})
}

func ids(cfg *config.Config) []string {
	out := make([]string, len(cfg.Destinations))
	for i, d := range cfg.Destinations {
		out[i] = d.ID
	}
	return out
}

// Poison is the poison queues of a broker, without a server.
type Poison struct {
	*poison.Service
	broker   infra.Broker
	kinds    map[string]Kind
	cfg      *config.Config
	contract *contract

	mu     sync.Mutex
	served map[string]*served
	built  map[string]*router.Destination
}

// PoisonUse is what poison queues are opened for.
type PoisonUse int

// A dry run looks.
const (
	PoisonLook PoisonUse = iota
	PoisonDiscard
	PoisonRedrive
)

// OpenPoison opens the broker that the configuration names: the cluster, or the
// directory of a stopped server. What is transformed again is so
// by the configuration's destinations.
func OpenPoison(ctx context.Context, cfg *config.Config, o Options, use PoisonUse) (_ *Poison, err error) {
	if use == PoisonRedrive && InProcess(cfg) {
		return nil, fmt.Errorf("broker.kind: %s is in the server's own process, which alone sends events on again; start eventserver with its admin API first", cfg.Broker.Kind)
	}
	log := o.logger()
	p := &Poison{kinds: o.kinds(), cfg: cfg, served: map[string]*served{}, built: map[string]*router.Destination{}}
	if p.contract, err = contractOf(cfg); err != nil {
		return nil, err
	}
	if p.broker, err = o.openBeside(ctx, cfg, log, use == PoisonLook); err != nil {
		return nil, err
	}
	p.Service, err = poison.New(poison.Config{Broker: p.broker, Destinations: func() []string { return ids(cfg) }, Again: p.again, Logger: log})
	if err != nil {
		return nil, errors.Join(err, p.broker.Close())
	}
	return p, nil
}

// again builds a destination when the first event of it is transformed again:
// one such as a file may be another process's until then.
func (p *Poison) again(ctx context.Context, id string, m *message.Message, r record.Redrive) (*message.Message, error) {
	d, err := p.destination(id)
	if err != nil {
		return nil, err
	}
	return d.Again(ctx, m, r, recordLimit(p.cfg)-poisonHeadroom)
}

func (p *Poison) destination(id string) (*router.Destination, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.built[id]; d != nil {
		return d, nil
	}
	for _, c := range p.cfg.Destinations {
		if c.ID != id {
			continue
		}
		s, err := newServed(p.kinds, c, int(p.cfg.HTTP.MaxEventBytes), p.contract)
		if err != nil {
			return nil, err
		}
		d, err := s.build()
		if err != nil {
			return nil, err
		}
		p.served[id], p.built[id] = s, &d
		return &d, nil
	}
	return nil, fmt.Errorf("there is no destination %q in the configuration", id)
}

// Close ends the runs and releases the broker.
func (p *Poison) Close() error {
	errs := []error{p.Service.Close()}
	for _, s := range p.served {
		errs = append(errs, s.close())
	}
	return errors.Join(append(errs, p.broker.Close())...)
}
