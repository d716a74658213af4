package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	wmmetrics "github.com/ThreeDotsLabs/watermill/components/metrics"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
)

// Destination is a place that events go to, with what the router does for it.
type Destination struct {
	Destination destinations.Destination
	Kind        string    // label of metrics
	Types       []string  // patterns; none: every type
	Filter      Filter    // nil: every event
	Transform   Transform // nil: the event's own bytes
	Input       Check     // of each event that it wants; nil: none
	Output      Check     // of each payload, as OutputType; nil: none
	OutputType  string
	Timeout     time.Duration
	Concurrency int // most attempts at once; a batch is one
	Batch       Batch
	Rate        RateLimit
	Retry       Retry
	Breaker     Breaker
	OnExhausted OnExhausted // "": Skip
}

// Config is what a Pipeline is built of.
type Config struct {
	Broker       infra.Broker
	Destinations []Destination
	// Unordered leaves the order to the subscriber: partition order, for a
	// broker whose subscriber has one message of a partition in flight.
	Unordered bool
	// MaxPayloadBytes bounds what a transformation may make, headers included;
	// more goes to the poison queue. It must leave room in a record for what
	// the poison queue adds. Default: no bound.
	MaxPayloadBytes int
	Metrics         *metrics.Metrics
	// Watermill adds Watermill's own metrics to each router; nil: none.
	Watermill *wmmetrics.PrometheusMetricsBuilder
	Logger    *slog.Logger // default: discard
}

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.Broker == nil {
		errs = append(errs, errors.New("router: Broker is missing"))
	}
	if c.Metrics == nil {
		errs = append(errs, errors.New("router: Metrics is missing"))
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	seen := map[string]bool{}
	dests := make([]Destination, len(c.Destinations))
	for i, d := range c.Destinations {
		if d.Destination == nil {
			errs = append(errs, fmt.Errorf("router: Destinations[%d].Destination is missing", i))
			continue
		}
		id := d.Destination.ID()
		if seen[id] {
			errs = append(errs, fmt.Errorf("router: destination id %q is used twice", id))
		}
		seen[id] = true
		if d.Timeout <= 0 {
			d.Timeout = 10 * time.Second
		}
		if d.Concurrency <= 0 {
			d.Concurrency = 64
		}
		if d.OnExhausted == "" {
			d.OnExhausted = Skip
		}
		if _, ok := d.Destination.(destinations.Batcher); d.Batch.on() && !ok {
			errs = append(errs, fmt.Errorf("router: destination %s takes no batches", id))
		}
		d.Batch = d.Batch.WithDefaults()
		d.Retry, d.Breaker = d.Retry.WithDefaults(), d.Breaker.WithDefaults()
		dests[i] = d
	}
	c.Destinations = dests
	return c, errors.Join(errs...)
}

// Pipeline is the chain of Watermill routers: one for ingest, one for each
// destination, so that a destination can come and go without the others.
type Pipeline struct {
	cfg      Config
	ingest   *message.Router
	dests    []*running
	draining chan struct{}
	drain    sync.Once
	ran      atomic.Bool // Run was called
}

// running is one destination's router and its two subscribers.
type running struct {
	id                 string
	router             *message.Router
	transform, deliver source
	gate               *gate
	metrics            *metrics.Destination

	mu      sync.Mutex
	backlog backlog
}

// source is a subscriber as the pipeline holds it.
type source struct {
	message.Subscriber
	ordered *Ordered // nil with Config.Unordered
}

// New builds the pipeline. Run starts it; its topics must exist by then.
func New(cfg Config) (*Pipeline, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Pipeline{cfg: cfg, draining: make(chan struct{})}
	if p.ingest, err = p.newRouter(); err != nil {
		return nil, err
	}
	for i := range cfg.Destinations {
		r, err := p.newDestination(&cfg.Destinations[i])
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.dests = append(p.dests, r)
	}
	return p, nil
}

// Topics lists what must exist before Run.
func (p *Pipeline) Topics() []infra.Topic {
	topics := []infra.Topic{{Name: EventsTopic}}
	for _, d := range p.dests {
		topics = append(topics, Topics(d.id)[1:]...)
	}
	return topics
}

// newRouter makes a Watermill router. CloseTimeout is short: Drain has let the
// handlers finish by then, and Close cancels what is left at once.
func (p *Pipeline) newRouter() (*message.Router, error) {
	r, err := message.NewRouter(message.RouterConfig{CloseTimeout: 30 * time.Second}, newQuietLogger(p.cfg.Logger))
	if err != nil {
		return nil, err
	}
	if p.cfg.Watermill != nil {
		r.AddMiddleware(p.cfg.Watermill.NewRouterMiddleware().Middleware)
	}
	return r, nil
}

// AddIngest stores what sub receives on topic, a path for an HTTP subscriber.
// The message is acked when the broker has every event of it.
func (p *Pipeline) AddIngest(name, topic string, sub message.Subscriber) error {
	pub, err := p.publisher()
	if err != nil {
		return err
	}
	p.ingest.AddConsumerHandler(name, topic, sub, ingester{pub: pub}.handle).AddMiddleware(middleware.Recoverer)
	return nil
}

// publisher is the broker's, timed by Watermill's metrics where they are wanted.
func (p *Pipeline) publisher() (message.Publisher, error) {
	if p.cfg.Watermill == nil {
		return p.cfg.Broker.Publisher(), nil
	}
	return p.cfg.Watermill.DecoratePublisher(p.cfg.Broker.Publisher())
}

func (p *Pipeline) newDestination(d *Destination) (*running, error) {
	id := d.Destination.ID()
	log := p.cfg.Logger.With(slog.String("destination", id))
	router, err := p.newRouter()
	if err != nil {
		return nil, err
	}
	r := &running{id: id, router: router, backlog: backlog{lag: noLag(id)}}
	if r.transform, err = p.subscribe(TransformGroup(id), !p.cfg.Unordered, transformGrouping); err != nil {
		return nil, err
	}
	if r.deliver, err = p.subscribe(DeliverGroup(id), !p.cfg.Unordered || d.Batch.on(), d.grouping()); err != nil {
		return nil, errors.Join(err, r.transform.Close())
	}
	r.gate = newGate(newBreaker(d.Breaker, log), d.Concurrency, d.Rate, p.draining)
	r.metrics = p.cfg.Metrics.Destination(id, d.Kind, r.state)

	pub, err := p.publisher()
	if err != nil {
		return nil, errors.Join(err, r.transform.Close(), r.deliver.Close())
	}
	poison := func(stage string) *poisonQueue {
		return &poisonQueue{pub: pub, destination: id, stage: stage, on: d.OnExhausted, metrics: r.metrics, draining: p.draining, log: log}
	}
	t := &transformer{dest: d, pub: pub, limit: p.cfg.MaxPayloadBytes, poison: poison(stageTransform), metrics: r.metrics}
	router.AddConsumerHandler("transform."+id, EventsTopic, r.transform, t.handle).AddMiddleware(
		middleware.Recoverer,
	)
	one := &deliverer{dest: d.Destination, metrics: r.metrics, log: log}
	if d.Batch.on() {
		one.batcher = d.Destination.(destinations.Batcher)
	}
	many := &batcher{id: id, dest: one.batcher, gate: r.gate, retry: d.Retry, timeout: d.Timeout, metrics: r.metrics}
	again := &retry{Retry: d.Retry, metrics: r.metrics, draining: p.draining}
	router.AddConsumerHandler("deliver."+id, DestinationTopic(id), r.deliver, one.handle).AddMiddleware(
		roomyStack,
		many.middleware,
		poison(stageDeliver).middleware,
		again.middleware,
		r.gate.middleware,
		observe(r.metrics),
		attemptTimeout(d.Timeout),
		middleware.Recoverer,
	)
	return r, nil
}

// transformGrouping gathers what comes while the groups before are being
// stored. A key has one event in a group: a publish that fails may have stored
// some of its messages, and not the first ones.
var transformGrouping = Grouping{MaxEvents: 256, MaxBytes: 1 << 20, AtOnce: 4}

// grouping is that of the destination's batches.
func (d *Destination) grouping() Grouping {
	if !d.Batch.on() {
		return Grouping{}
	}
	return Grouping{MaxEvents: d.Batch.MaxEvents, MaxBytes: d.Batch.MaxBytes, MaxWait: d.Batch.MaxWait, AtOnce: d.Concurrency, SameKey: true}
}

func (p *Pipeline) subscribe(group string, ordered bool, grouping Grouping) (source, error) {
	sub, err := p.cfg.Broker.Subscriber(group)
	if err != nil {
		return source{}, fmt.Errorf("subscribe group %s: %w", group, err)
	}
	if !ordered {
		return source{Subscriber: sub}, nil
	}
	o := NewOrdered(sub, grouping)
	return source{Subscriber: o, ordered: o}, nil
}

// Run runs every router until ctx ends or one of them fails. Drain and Close
// before ctx ends, or work in flight is cut.
func (p *Pipeline) Run(ctx context.Context) error {
	p.ran.Store(true)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make(chan error, len(p.dests)+1)
	start := func(name string, r *message.Router) {
		wg.Go(func() {
			err := r.Run(ctx)
			if err != nil {
				err = fmt.Errorf("router %s: %w", name, err)
			}
			errs <- err
			cancel()
		})
	}
	start("ingest", p.ingest)
	for _, d := range p.dests {
		start(d.id, d.router)
	}
	wg.Go(func() { p.watchBacklog(ctx) })
	wg.Go(func() { p.watchBroker(ctx) })
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// Running is closed when every handler runs.
func (p *Pipeline) Running(ctx context.Context) error {
	for _, r := range p.routers() {
		select {
		case <-r.Running():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (p *Pipeline) routers() []*message.Router {
	all := []*message.Router{p.ingest}
	for _, d := range p.dests {
		all = append(all, d.router)
	}
	return all
}

// Ready returns nil when every destination has been given partitions to read.
func (p *Pipeline) Ready() error {
	var errs []error
	for _, d := range p.dests {
		for _, s := range []source{d.transform, d.deliver} {
			if a, ok := s.Subscriber.(infra.Assigned); ok && !a.Assigned() {
				errs = append(errs, fmt.Errorf("destination %s has no partitions assigned yet", d.id))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// Drain stops reading and returns when no handler holds a message, or when ctx
// ends. Attempts under way come to their end; what waits or backs off is left
// to the next start.
func (p *Pipeline) Drain(ctx context.Context) error {
	p.drain.Do(func() { close(p.draining) })
	var wg sync.WaitGroup
	errs := make([]error, 2*len(p.dests))
	for i, d := range p.dests {
		for j, s := range []source{d.transform, d.deliver} {
			if dr, ok := s.Subscriber.(infra.Drainer); ok {
				wg.Go(func() {
					if err := dr.Drain(ctx); err != nil {
						errs[2*i+j] = fmt.Errorf("drain destination %s: %w", d.id, err)
					}
				})
			}
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Close cancels what is left, closes the subscribers and ends Run.
func (p *Pipeline) Close() error {
	p.drain.Do(func() { close(p.draining) })
	var wg sync.WaitGroup
	routers := p.routers()
	errs := make([]error, len(routers))
	for i, r := range routers {
		if p.ran.Load() { // a router that never ran waits its whole CloseTimeout for handlers that never began
			wg.Go(func() { errs[i] = r.Close() })
		}
	}
	wg.Wait()
	for _, d := range p.dests {
		errs = append(errs, d.transform.Close(), d.deliver.Close())
		d.gate.breaker.stop()
		d.metrics.Remove()
	}
	return errors.Join(errs...)
}
