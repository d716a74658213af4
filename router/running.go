package router

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
)

// running is one destination as it is served: its two stages and what they
// share.
type running struct {
	id       string
	dest     Destination
	pipeline *Pipeline
	health   attempt.Health
	metrics  *metrics.Destination
	deliver  *stage
	hold     *hold // of the transform stage
	recent   attempt.Recent
	settled  atomic.Bool // it has been given partitions once, or came while others ran

	mu        sync.Mutex
	transform *stage // nil while a replay holds it
	ending    bool   // it is being removed or replaced
	backlog   backlog
}

func (p *Pipeline) newRunning(d Destination) (*running, error) {
	id := d.Destination.ID()
	log := p.cfg.Logger.With(slog.String("destination", id))
	r := &running{id: id, dest: d, pipeline: p, backlog: backlog{lag: noLag(id)}}
	var err error
	r.health.Log, r.hold = log, newHold(&r.dest, log)
	if r.deliver, err = p.newStage(record.StageDeliver, id, record.DeliverGroup(id), record.DestinationTopic(id), infra.SubscriberConfig{Receipts: true}); err != nil {
		return nil, err
	}
	r.deliver.source.schedule(&r.dest, !p.cfg.Unordered, p.cfg.closeTimeout, log)
	r.metrics = p.cfg.Metrics.Destination(id, d.Kind, r.state)
	r.handleDeliver(log)
	p.mu.Lock()
	_, suspended := p.replays[id]
	p.mu.Unlock()
	if suspended {
		return r, nil
	}
	transform, err := r.newTransform()
	if err != nil {
		return nil, errors.Join(err, r.close(true))
	}
	r.mu.Lock() // a scrape may ask already
	r.transform = transform
	r.mu.Unlock()
	return r, nil
}

func (r *running) newTransform() (*stage, error) {
	p, d := r.pipeline, &r.dest
	log := p.cfg.Logger.With(slog.String("destination", r.id))
	resume := (&standing{id: r.id, reader: p.cfg.Broker, log: log}).at
	read := infra.SubscriberConfig{Runs: transformRuns, Only: d.only(r.metrics), Resume: resume}
	if p.cfg.Unordered {
		read = infra.SubscriberConfig{}
	}
	s, err := p.newStage(record.StageTransform, r.id, record.TransformGroup(r.id), record.EventsTopic, read)
	if err != nil {
		return nil, err
	}
	r.scheduler().Ahead.Attach(s.source.Subscriber)
	spans := r.spans()
	poison := &attempt.PoisonQueue{Destination: r.id, Stage: record.StageTransform, On: d.OnExhausted, Metrics: r.metrics, Spans: spans, Log: log, Recent: &r.recent}
	t := &transformer{dest: d, pub: p.cfg.Broker.Publisher(infra.Step), storing: p.storing, stored: p.cfg.Metrics.Stored(s.kind), limit: p.cfg.MaxPayloadBytes, poison: poison, metrics: r.metrics, spans: spans,
		waits: &s.waits, hold: r.hold, ahead: r.scheduler().Ahead, draining: s.draining, log: log}
	s.router.AddConsumerHandler(s.name, record.EventsTopic, s.source, t.handle).AddMiddleware(attempt.RoomyStack, p.cfg.Metrics.Handler(s.kind), middleware.Recoverer)
	return s, nil
}

func (r *running) handleDeliver(log *slog.Logger) {
	p, d, s, spans := r.pipeline, &r.dest, r.deliver, r.spans()
	handle, around := attempt.Config{
		Destination: d.Destination, Batches: d.Batch.On(), Retry: d.Retry, Timeout: d.Timeout,
		Scheduler: s.source.scheduler, Health: &r.health, Recent: &r.recent,
		Poison:  &attempt.PoisonQueue{Pub: p.publisher(s.kind, infra.Step), Destination: r.id, Stage: record.StageDeliver, On: d.OnExhausted, Metrics: r.metrics, Spans: spans, Log: log, Recent: &r.recent},
		Spans:   spans,
		Metrics: r.metrics, Handler: p.cfg.Metrics.Handler(s.kind), Log: log,
	}.Chain()
	s.router.AddConsumerHandler(s.name, record.DestinationTopic(r.id), s.source, handle).AddMiddleware(around...)
}

func (r *running) spans() *attempt.Spans {
	return attempt.NewSpans(r.pipeline.cfg.Tracer, r.pipeline.cfg.TraceSystem, r.id, r.dest.Kind)
}

func (r *running) scheduler() *attempt.Scheduler { return r.deliver.source.scheduler }

// stages are those that there are now.
func (r *running) stages() []*stage {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.transform == nil {
		return []*stage{r.deliver}
	}
	return []*stage{r.transform, r.deliver}
}

func (r *running) assigned() bool {
	for _, s := range r.stages() {
		if !s.assigned() {
			return false
		}
	}
	return true
}

// each calls f for both stages at once.
func (r *running) each(f func(s *stage) error) error {
	stages := r.stages()
	errs := make([]error, len(stages))
	var wg sync.WaitGroup
	for i, s := range stages {
		wg.Go(func() { errs[i] = f(s) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (r *running) drain(ctx context.Context) error {
	return r.each(func(s *stage) error { return s.drain(ctx) })
}

// close cancels what is left. With last its series of the metrics go too.
func (r *running) close(last bool) error {
	err := r.each(func(s *stage) error { return s.close(r.pipeline) })
	if last {
		r.metrics.Remove()
	}
	return err
}
