package tracing

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"eventserver/destinations/redact"
	"eventserver/metrics"
)

// bounded is in front of the SDK's queue, which is as long: so the SDK never
// drops a span itself, of which it would tell nobody.
type bounded struct {
	sdktrace.SpanProcessor
	exporter *exporter
}

// OnEnd implements sdktrace.SpanProcessor.
func (b *bounded) OnEnd(s sdktrace.ReadOnlySpan) {
	if s.SpanContext().IsSampled() && b.exporter.take() {
		b.SpanProcessor.OnEnd(s)
	}
}

// exporter sends batches and tells our log and metrics of what fails. It never
// returns an error, which the SDK would hand to a handler that is global.
type exporter struct {
	next    sdktrace.SpanExporter
	secrets *redact.Redactor
	dropped *prometheus.CounterVec
	log     *slog.Logger
	room    int64
	pending atomic.Int64 // spans in the queue or being sent
	life    context.Context
	abandon context.CancelFunc // ends an export under way, and all that follow
	ended   chan struct{}      // closed by Shutdown, which the SDK calls last
	end     sync.Once

	full    atomic.Bool // something did not fit since the last export
	mu      sync.Mutex
	failing bool
}

func newExporter(next sdktrace.SpanExporter, cfg Config) *exporter {
	e := &exporter{next: next, secrets: redact.New(secretsOf(cfg)...), dropped: cfg.Dropped, log: cfg.Logger,
		room: int64(cfg.queue), ended: make(chan struct{})}
	e.life, e.abandon = context.WithCancel(context.Background())
	return e
}

// take makes room for one more span, or counts it as dropped.
func (e *exporter) take() bool {
	if e.pending.Add(1) <= e.room {
		return true
	}
	e.pending.Add(-1)
	e.dropped.WithLabelValues(metrics.SpansQueueFull).Inc()
	if !e.full.Swap(true) {
		e.report("they come faster than they can be sent")
	}
	return false
}

// ExportSpans implements sdktrace.SpanExporter. Of a batch that the collector
// takes in part, all count as dropped: how many it took cannot be seen here.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	defer e.pending.Add(-int64(len(spans)))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	err := e.life.Err()
	if err == nil {
		err = e.next.ExportSpans(ctx, spans)
	}
	if err != nil {
		e.dropped.WithLabelValues(metrics.SpansExportFailed).Add(float64(len(spans)))
		e.report(scrubbed(err, e.secrets))
		return nil
	}
	if !e.full.Swap(false) {
		e.recovered()
	}
	return nil
}

// Shutdown implements sdktrace.SpanExporter.
func (e *exporter) Shutdown(ctx context.Context) error {
	e.end.Do(func() { close(e.ended) })
	return e.next.Shutdown(ctx)
}

// report logs once for each time that things turn bad.
func (e *exporter) report(why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.failing {
		e.failing = true
		e.log.Warn("traces: spans are dropped until the collector takes them again", slog.String("error", why))
	}
}

func (e *exporter) recovered() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failing {
		e.failing = false
		e.log.Info("traces: the collector takes spans again")
	}
}
