package app

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"eventserver/app/tracing"
	"eventserver/app/version"
	"eventserver/metrics"
)

// trace starts what sends spans, when the configuration says where to.
func (a *App) trace(ctx context.Context, m *metrics.Metrics) (err error) {
	c := a.cfg.Traces
	if c == nil {
		return nil
	}
	a.traces, err = tracing.New(ctx, tracing.Config{
		Endpoint: c.Endpoint, Headers: c.Headers, SampleRatio: c.SampleRatio, Service: c.ServiceName,
		Instance: a.cfg.Broker.InstanceID, Version: version.Get().Version, Dropped: m.SpansDropped, Logger: a.log,
	})
	return err
}

// tracer is nil when traces are off, so that nothing is paid for them.
func (a *App) tracer() trace.Tracer {
	if a.traces == nil {
		return nil
	}
	return a.traces.Tracer()
}

// lastSpans is how long a stop waits for the collector. Deliveries are done by
// then: nobody should wait half a minute for spans.
const lastSpans = 3 * time.Second

func (a *App) endTraces(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastSpans)
	defer cancel()
	a.traces.Close(ctx)
}
