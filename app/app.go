package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"eventserver/app/access"
	"eventserver/app/admin"
	"eventserver/app/config"
	"eventserver/app/ingest"
	"eventserver/app/tracing"
	"eventserver/app/version"
	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/infra/local"
	"eventserver/metrics"
	"eventserver/router"
	"eventserver/router/control"
	"eventserver/router/poison"
)

// App is one event-server.
type App struct {
	cfg      *config.Config
	log      *slog.Logger
	broker   infra.Broker
	store    *local.Log // under broker, where that is in this process
	pipeline *router.Pipeline
	traces   *tracing.Traces // nil: off
	front    *ingest.Server  // nil with HandleOnly
	admin    *admin.Server   // nil with HandleOnly, and where it is off
	judge    ingest.Contract // nil without schemas
	contract *contract       // the same
	options  Options
	kinds    map[string]Kind

	reloads   chan struct{}   // whoever reloads, or closes the destinations, holds it
	life      context.Context // ends when the stop begins
	die       context.CancelFunc
	control   *control.Log
	suspended map[string]bool // destinations whose transformation waits; one goroutine uses it

	metrics *metrics.Metrics

	mu      sync.Mutex
	failure *admin.ReloadFailure // of the last reload; nil: it succeeded, or there was none
	replays map[string]bool      // that this instance has begun and not ended
	current *config.Config       // cfg as reloads have changed it
	served  []*served            // in the order of current

	fatal    chan error
	ready    chan struct{}
	closing  sync.Once
	closeErr error
	poison   *poison.Service // nil without the admin API
}

// New opens the broker and builds everything. Run starts it; Close releases an
// App that was never run.
func New(ctx context.Context, cfg *config.Config, o Options) (_ *App, err error) {
	if err := cfg.Need(); err != nil { // of LoadPartly
		return nil, err
	}
	a := &App{cfg: cfg, log: o.logger(), fatal: make(chan error, 1), ready: make(chan struct{}),
		options: o, kinds: o.kinds(), reloads: make(chan struct{}, 1), current: cfg,
		suspended: map[string]bool{}, replays: map[string]bool{}}
	a.life, a.die = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	reg := o.Registry
	if reg == nil {
		reg = prometheus.NewRegistry()
		reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	m, err := metrics.New(reg)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	if err := metrics.Log(reg, o.logDropped()); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	a.metrics = m
	build := version.Get()
	m.Build(build.Version, build.Commit, build.Go)
	a.loaded()
	a.warn(cfg)
	policy, err := loadPolicy(cfg)
	if err != nil {
		return nil, err
	}
	var judge *contract
	if policy != nil {
		warnOf(policy, a.log)
		judge = newContract(policy, m)
		a.judge, a.contract = judge, judge
	}
	dests, err := a.destinations(cfg)
	if err != nil {
		return nil, err
	}
	if err := a.trace(ctx, m); err != nil {
		return nil, err
	}
	a.log.Debug("opening the broker", slog.String("kind", cfg.Broker.Kind))
	if o.HandleOnly {
		if err := needShared(cfg, handleInstead); err != nil {
			return nil, err
		}
	}
	damage := router.NewDamage(m, a.log)
	if a.broker, err = o.openBroker(ctx, cfg, a.log, hooks{a.fail, damage, func(l *local.Log) { a.store = l }, reg}); err != nil {
		return nil, err
	}
	if a.pipeline, err = router.New(router.Config{
		Broker: a.broker, Destinations: dests, Unordered: cfg.Ordering == "partition",
		MaxPayloadBytes: recordLimit(cfg) - poisonHeadroom, Probe: control.Probe, Damage: damage, Metrics: m, Logger: a.log,
		Tracer: a.tracer(), TraceSystem: cfg.Broker.Kind,
	}); err != nil {
		return nil, err
	}
	if err := a.openControl(ctx); err != nil {
		return nil, err
	}
	if err := a.appear(ctx, cfg.Destinations, a.control.Append); err != nil {
		return nil, err
	}
	if err := a.broker.EnsureTopics(ctx, a.pipeline.Topics()...); err != nil {
		return nil, fmt.Errorf("topics: %w", err)
	}
	if o.HandleOnly {
		return a, nil
	}
	return a, errors.Join(a.accept(reg, m), a.steer())
}

// accept builds the HTTP front.
func (a *App) accept(reg *prometheus.Registry, m *metrics.Metrics) error {
	cfg := a.cfg
	keys, err := apiKeys("http.keys", cfg.HTTP.Keys)
	if err != nil {
		return err
	}
	tokens, err := apiKeys("metrics.tokens", cfg.Metrics.Tokens)
	if err != nil {
		return err
	}
	a.front, err = ingest.New(ingest.Config{
		Addr: cfg.HTTP.Addr, MaxEventBytes: int64(cfg.HTTP.MaxEventBytes), MaxBatchBytes: int64(cfg.HTTP.MaxBatchBytes),
		MaxBatchEvents: cfg.HTTP.MaxBatchEvents, MaxInFlight: cfg.HTTP.MaxInFlight, Memory: cfg.RequestMemory(), PublishTimeout: cfg.HTTP.PublishTimeout,
		ReadTimeout: cfg.HTTP.ReadTimeout, Keys: keys, MetricsAddr: cfg.Metrics.Addr, MetricsTokens: tokens, MetadataHeaders: cfg.HTTP.MetadataHeaders, Tracer: a.tracer(), Contract: a.judge, Ready: a.readiness,
		Scrape: promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}), Metrics: m, Logger: a.log,
	})
	if err != nil {
		return err
	}
	a.pipeline.AddIngest("ingest", ingest.PathEvents, a.front.Subscriber())
	a.pipeline.AddIngest("ingest.publish", ingest.PathPublish, a.front.Subscriber())
	return nil
}

func (a *App) fail(err error) {
	select {
	case a.fatal <- err:
	default:
	}
}

func apiKeys(list string, in []config.APIKey) ([]access.Key, error) {
	var out []access.Key
	for i, k := range in {
		sums, err := digests(k.SHA256)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", list, i, err)
		}
		out = append(out, access.Key{Name: k.Name, SHA256: sums})
	}
	return out, nil
}

func digests(in []string) ([][sha256.Size]byte, error) {
	var out [][sha256.Size]byte
	for i, digest := range in {
		sum, err := hex.DecodeString(digest)
		if err != nil || len(sum) != sha256.Size {
			return nil, fmt.Errorf("sha256[%d]: is not 64 hex digits", i)
		}
		out = append(out, [sha256.Size]byte(sum))
	}
	return out, nil
}

func (a *App) readiness(ctx context.Context) error {
	if err := a.pipeline.Ready(); err != nil {
		return err
	}
	if err := a.broker.Ping(ctx); err != nil {
		return fmt.Errorf("the broker does not answer: %w", err)
	}
	return nil
}

// Ready is closed when events are accepted.
func (a *App) Ready() <-chan struct{} { return a.ready }

// Addr is the address that events are accepted on, once Ready is closed; ""
// with HandleOnly.
func (a *App) Addr() string {
	if a.front == nil {
		return ""
	}
	return a.front.Addr()
}

// Put stores events as the HTTP front does; see Store.Put.
func (a *App) Put(ctx context.Context, events ...destinations.Event) error {
	s := Store{broker: a.broker, judge: a.judge, limit: int(a.cfg.HTTP.MaxEventBytes), tracer: a.tracer(), system: a.cfg.Broker.Kind}
	return s.Put(ctx, events...)
}

// Run runs until ctx ends or a part fails, then stops everything in order.
func (a *App) Run(ctx context.Context) error {
	if err := a.listen(ctx); err != nil {
		return errors.Join(err, a.Close())
	}
	// The parts outlive ctx: stop ends them one after the other.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var wg sync.WaitGroup
	failed := make(chan error, 3)
	if a.admin != nil { // while the rest starts, too: that is when one wants to look
		wg.Go(func() {
			if err := a.admin.Serve(); err != nil {
				failed <- err
			}
		})
	}
	wg.Go(func() { a.followControl(a.life) })
	wg.Go(func() {
		if err := a.pipeline.Run(life); err != nil {
			failed <- err
		}
	})
	err := a.pipeline.Running(ctx)
	if err == nil {
		what := []any{slog.String("addr", a.Addr()), slog.String("broker", a.cfg.Broker.Kind), slog.Int("destinations", len(a.cfg.Destinations))}
		if a.front != nil {
			wg.Go(func() {
				if err := a.front.Serve(); err != nil {
					failed <- err
				}
			})
			a.log.Info("accepting events", what...)
		} else {
			a.log.Info("handling events", what...)
		}
		close(a.ready)
		select {
		case <-ctx.Done():
			err = nil
		case err = <-failed:
		case err = <-a.fatal:
		}
	}
	began := time.Now()
	a.log.Info("stopping", slog.Duration("within", a.cfg.HTTP.ShutdownTimeout))
	err = errors.Join(err, a.Close())
	end()
	rest, cancel := context.WithTimeout(context.Background(), lastGrace)
	defer cancel()
	err = errors.Join(err, within(rest, func() error { wg.Wait(); return nil }))
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	what := []any{slog.Duration("took", time.Since(began))}
	if err != nil {
		what = append(what, slog.Any("error", err))
	}
	a.log.Info("stopped", what...)
	return err
}

// Close stops everything in order; each step finds the ones after it running.
// What does not end within http.shutdown_timeout is cut: it is stored, and is
// delivered after the next start.
func (a *App) Close() error {
	a.closing.Do(func() { a.closeErr = a.stop() })
	return a.closeErr
}

// When the time is up, the steps that remain have lastGrace together, and each
// leastGrace, to let go of what needs no waiting.
const (
	lastGrace  = 2 * time.Second
	leastGrace = 100 * time.Millisecond
)

func (a *App) stop() error {
	a.die()
	ctx, cancel := context.WithTimeout(context.Background(), a.cfg.HTTP.ShutdownTimeout)
	defer cancel()
	all, cancelAll := context.WithTimeout(context.Background(), a.cfg.HTTP.ShutdownTimeout+lastGrace)
	defer cancelAll()
	var errs []error
	step := func(name string, f func() error) {
		began := time.Now()
		err := within(all, f)
		if err != nil {
			err = fmt.Errorf("stop: %s: %w", name, err)
		}
		errs = append(errs, err)
		a.log.Debug("stopped", slog.String("step", name), slog.Duration("took", time.Since(began)), slog.Any("error", err))
	}
	// Both at once: a client that sends slowly must not use up the time that
	// deliveries have. What is accepted meanwhile is delivered after the restart.
	step("answer requests under way, let deliveries under way finish", func() error {
		var wg sync.WaitGroup
		var answered, drained error
		if a.front != nil {
			wg.Go(func() { answered = a.front.Shutdown(ctx) })
		}
		if a.pipeline != nil {
			wg.Go(func() { drained = a.pipeline.Drain(ctx) })
		}
		wg.Wait()
		return errors.Join(answered, drained)
	})
	if a.admin != nil { // before anything that its requests use is closed
		step("end the admin API", a.stopAdmin)
	}
	if a.poison != nil {
		step("end redrives and discards", a.poison.Close)
	}
	if a.pipeline != nil {
		step("close the routers and commit", a.pipeline.Close)
	}
	step("close the destinations", func() error {
		a.reloads <- struct{}{} // one under way ends soon: the pipeline has ended
		var errs []error
		for _, s := range a.served {
			errs = append(errs, s.close())
		}
		return errors.Join(errs...)
	})
	if a.broker != nil {
		step("close the broker", a.broker.Close)
	}
	if a.traces != nil {
		step("send the last spans", func() error { a.endTraces(ctx); return nil })
	}
	return errors.Join(errs...)
}

// within runs f until ctx ends, and a moment longer. Then f goes on behind it:
// what it waits for, such as a broker that hangs, may never answer.
func within(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	t := time.NewTimer(leastGrace)
	defer t.Stop()
	select {
	case err := <-done:
		return err
	case <-t.C:
		return errors.New("did not end in time")
	}
}
