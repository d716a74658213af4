package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"go.opentelemetry.io/otel/trace"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
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
	Batch       attempt.Batch
	Rate        attempt.RateLimit
	Retry       attempt.Retry
	Breaker     attempt.Breaker
	FloodGuard  int                 // users in a row who meet a final answer, none succeeding, until it is held; 0: never
	OnExhausted attempt.OnExhausted // "": Skip
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
	// Probe makes a record, of a few pages of a disk, that nobody reads. It is
	// stored once a second while the broker stores nothing, until one is. nil: none.
	Probe func() (topic string, m *message.Message)
	// Damage is told of by the broker; nil: by nobody.
	Damage  *Damage
	Metrics *metrics.Metrics
	// Tracer makes spans of what happens to events; nil: none. TraceSystem is
	// the broker's name in them, messaging.system.
	Tracer      trace.Tracer
	TraceSystem string
	Logger      *slog.Logger // default: discard

	closeTimeout time.Duration // default: closeTimeout
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
	if c.closeTimeout == 0 {
		c.closeTimeout = attempt.CloseTimeout
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
		var err error
		dests[i], err = d.withDefaults()
		errs = append(errs, err)
	}
	c.Destinations = dests
	return c, errors.Join(errs...)
}

func (d Destination) withDefaults() (Destination, error) {
	if d.Destination == nil {
		return d, errors.New("router: Destination is missing")
	}
	if d.Timeout <= 0 {
		d.Timeout = 10 * time.Second
	}
	if d.Concurrency <= 0 {
		d.Concurrency = 64
	}
	if d.OnExhausted == "" {
		d.OnExhausted = attempt.Skip
	}
	if _, ok := d.Destination.(destinations.Batcher); d.Batch.On() && !ok {
		return d, fmt.Errorf("router: destination %s takes no batches", d.Destination.ID())
	}
	d.Batch = d.Batch.WithDefaults()
	d.Retry, d.Breaker = d.Retry.WithDefaults(), d.Breaker.WithDefaults()
	return d, nil
}

// Pipeline is the chain of Watermill routers: one for ingest and two for each
// destination, so that a destination can come and go, and be set back, without
// the others. Its methods are safe for concurrent use.
type Pipeline struct {
	cfg     Config
	ingest  *message.Router
	accepts bool                    // ingest has a handler; not written after Run
	turns   turns                   // of Add, Remove and Replace, by destination
	broker  atomic.Pointer[silence] // nil: the broker answers
	asking  sync.Mutex              // one ping of the broker at a time
	storing *storing

	mu       sync.Mutex
	dests    []*running      // the configuration's, then those that were added
	pauses   map[string]Note // of destinations that are here and of those that are not
	replays  map[string]Note // likewise
	life     *life           // of Run; nil before
	draining bool
	closed   bool
}

// life is one Run.
type life struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // Run holds it until over
	over   bool           // nothing more may start
	errs   []error
}

// New builds the pipeline. Run starts it; its topics must exist by then.
func New(cfg Config) (*Pipeline, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Pipeline{cfg: cfg, storing: newStoring(cfg.Probe), pauses: map[string]Note{}, replays: map[string]Note{}}
	if p.ingest, err = p.newRouter(); err != nil {
		return nil, err
	}
	for i := range cfg.Destinations {
		r, err := p.newRunning(cfg.Destinations[i])
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.dests = append(p.dests, r)
	}
	return p, nil
}

// Topics lists what must exist before Run.
func (p *Pipeline) Topics() []infra.Topic {
	topics := []infra.Topic{{Name: record.EventsTopic}}
	for _, d := range p.all() {
		topics = append(topics, record.Topics(d.id)[1:]...)
	}
	return topics
}

// all are the destinations there are now.
func (p *Pipeline) all() []*running {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.dests)
}

// newRouter makes a Watermill router. Its time to close is short: Drain has let the
// handlers finish by then, and Close cancels what is left at once. It is longer than
// that of a scheduler, which names what does not end.
func (p *Pipeline) newRouter() (*message.Router, error) {
	return message.NewRouter(message.RouterConfig{CloseTimeout: 2 * p.cfg.closeTimeout}, newQuietLogger(p.cfg.Logger))
}

// AddIngest stores what sub receives on topic, a path for an HTTP subscriber.
// The message is acked when the broker has every event of it.
func (p *Pipeline) AddIngest(name, topic string, sub message.Subscriber) {
	pub := p.publisher(name, infra.Durable)
	p.accepts = true
	p.ingest.AddConsumerHandler(name, topic, sub, ingester{pub: pub, spans: attempt.NewSpans(p.cfg.Tracer, p.cfg.TraceSystem, "", "")}.handle).
		AddMiddleware(attempt.RoomyStack, p.cfg.Metrics.Handler(name), middleware.Recoverer)
}

// publisher is the broker's, timed for one handler.
func (p *Pipeline) publisher(handler string, d infra.Durability) message.Publisher {
	return watched{p.cfg.Metrics.Publisher(handler, p.cfg.Broker.Publisher(d)), p.storing}
}

// ErrClosed is returned for what can no longer be done.
var ErrClosed = errors.New("router: the pipeline has ended")

// Run runs every router until ctx ends or one of them fails. Drain and Close
// before ctx ends, or work in flight is cut.
func (p *Pipeline) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &life{ctx: ctx, cancel: cancel}
	p.mu.Lock()
	if p.closed || p.life != nil {
		p.mu.Unlock()
		return ErrClosed
	}
	p.life = l
	l.wg.Go(func() {
		if err := p.ingest.Run(ctx); err != nil {
			p.failed(fmt.Errorf("router ingest: %w", err))
		}
		cancel()
	})
	for _, d := range p.dests {
		for _, s := range d.stages() {
			p.start(l, s, false)
		}
	}
	l.wg.Go(func() { p.watchBacklog(ctx) })
	l.wg.Go(func() { p.watchBroker(ctx) })
	l.wg.Go(func() { p.watchStoring(ctx) })
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	l.over = true
	p.mu.Unlock()
	if !p.accepts { // with a handler it ends with ctx. The router's own list of them is not to be read while it runs
		_ = p.ingest.Close()
	}
	l.wg.Wait()
	return errors.Join(l.errs...)
}

// failed ends Run with err.
func (p *Pipeline) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life == nil {
		return
	}
	p.life.errs = append(p.life.errs, err)
	p.life.cancel()
}

// start runs a stage. That it ends when nobody stopped it ends the pipeline,
// but for one that was added and has not begun: launch sees to that. The caller
// holds mu.
func (p *Pipeline) start(l *life, s *stage, added bool) {
	s.started = true
	s.beginning.Store(added)
	l.wg.Go(func() {
		err := s.run(l.ctx)
		s.err = err
		close(s.ended)
		if s.stopping.Load() || s.beginning.Load() {
			return
		}
		if err != nil {
			p.failed(fmt.Errorf("router %s: %w", s.name, err))
		}
		l.cancel()
	})
}

// Running returns nil when every handler runs.
func (p *Pipeline) Running(ctx context.Context) error {
	routers := []*message.Router{p.ingest}
	for _, d := range p.all() {
		for _, s := range d.stages() {
			routers = append(routers, s.router)
		}
	}
	for _, r := range routers {
		select {
		case <-r.Running():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Ready returns nil when the broker stores and every destination has been given
// partitions to read once: a rebalance keeps nobody from storing events. One that was
// added or changed while others ran is not waited for.
func (p *Pipeline) Ready() error {
	var errs []error
	if s := p.storing.silence(); s != nil {
		errs = append(errs, fmt.Errorf("the broker has stored nothing since %s: %w", clock(time.Now(), s.since), s.err))
	}
	for _, d := range p.all() {
		if d.assigned() {
			d.settled.Store(true)
		} else if !d.settled.Load() {
			errs = append(errs, fmt.Errorf("destination %s has no partitions assigned yet", d.id))
		}
	}
	return errors.Join(errs...)
}

// Drain stops reading and returns when no handler holds a message, or when ctx
// ends. Attempts under way come to their end; what waits or backs off is left
// to the next start.
func (p *Pipeline) Drain(ctx context.Context) error {
	p.mu.Lock()
	p.draining = true
	dests := slices.Clone(p.dests)
	p.mu.Unlock()
	errs := make([]error, len(dests))
	var wg sync.WaitGroup
	for i, d := range dests {
		wg.Go(func() { errs[i] = d.drain(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Close cancels what is left, closes the subscribers and ends Run.
func (p *Pipeline) Close() error {
	p.mu.Lock()
	p.draining, p.closed = true, true
	dests, l := slices.Clone(p.dests), p.life
	p.mu.Unlock()
	errs := make([]error, len(dests)+1)
	var wg sync.WaitGroup
	if l != nil { // a router that never ran waits its whole CloseTimeout for handlers that never began
		wg.Go(func() { errs[len(dests)] = p.ingest.Close() })
	}
	for i, d := range dests {
		wg.Go(func() { errs[i] = d.close(true) })
	}
	wg.Wait()
	if l != nil {
		l.cancel()
	}
	return errors.Join(errs...)
}
