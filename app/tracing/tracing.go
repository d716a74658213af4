package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"eventserver/destinations/redact"
)

// Config of Traces.
type Config struct {
	Endpoint    string            // base URL of the collector; its path appears in no log
	Headers     map[string]string // of each request to it; their values appear in no log
	SampleRatio float64           // of events that come without a traceparent
	Service     string            // name of the service
	Instance    string            // of this process among those of the service; may be empty
	Version     string            // of the program; may be empty
	// Dropped counts spans that do not reach the collector, by reason: see
	// package metrics.
	Dropped *prometheus.CounterVec
	Logger  *slog.Logger // default: discard

	queue    int           // spans waiting and being sent; default queueSpans
	interval time.Duration // longest wait of a span for others; default exportInterval
	timeout  time.Duration // of one export, its repetitions included; default exportTimeout
}

// Bounds of what waits for the collector. A span with its
// attributes takes 1.5 KB.
const (
	queueSpans     = 8192
	batchSpans     = 512
	exportInterval = time.Second
	exportTimeout  = 10 * time.Second
	abandonTime    = time.Second // for exports that were cancelled to end
)

func (c Config) withDefaults() (Config, error) {
	if c.Dropped == nil {
		return c, errors.New("traces: Dropped is missing")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.queue <= 0 {
		c.queue = queueSpans
	}
	if c.interval <= 0 {
		c.interval = exportInterval
	}
	if c.timeout <= 0 {
		c.timeout = exportTimeout
	}
	return c, nil
}

// Traces makes spans and sends them. Its methods are safe for many goroutines.
type Traces struct {
	provider  *sdktrace.TracerProvider
	exporter  *exporter
	transport *http.Transport
	log       *slog.Logger
	closing   sync.Once
}

// New starts the sending. It does not ask whether the collector is there.
// Close ends it.
func New(ctx context.Context, cfg Config) (*Traces, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	endpoint, err := url.JoinPath(cfg.Endpoint, "v1", "traces")
	if err != nil {
		return nil, errors.New("traces.endpoint: is not a URL") // without err, which repeats it
	}
	// A transport of its own: its connections end with Close. The variables of
	// the environment that the exporter reads are overruled: what is not in the
	// configuration is not sent.
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("traces: http.DefaultTransport is not what it was")
	}
	transport = transport.Clone()
	headers := map[string]string{}
	for name, value := range cfg.Headers {
		headers[name] = value
	}
	otlp, err := otlptrace.New(ctx, otlptracehttp.NewClient(
		otlptracehttp.WithEndpointURL(endpoint),
		otlptracehttp.WithHeaders(headers),
		otlptracehttp.WithHTTPClient(&http.Client{Transport: transport, Timeout: cfg.timeout, CheckRedirect: noRedirect}),
		otlptracehttp.WithCompression(otlptracehttp.NoCompression),
		otlptracehttp.WithMaxResponseSize(64<<10),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: 500 * time.Millisecond,
			MaxInterval: 2 * time.Second, MaxElapsedTime: cfg.timeout}),
	))
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	t := &Traces{transport: transport, log: cfg.Logger, exporter: newExporter(otlp, cfg)}
	t.provider = sdktrace.NewTracerProvider(
		sdktrace.WithResource(resource.NewWithAttributes(semconv.SchemaURL, identity(cfg)...)),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.SampleRatio))),
		sdktrace.WithRawSpanLimits(spanLimits()),
		sdktrace.WithSpanProcessor(&bounded{exporter: t.exporter, SpanProcessor: sdktrace.NewBatchSpanProcessor(t.exporter,
			sdktrace.WithMaxQueueSize(cfg.queue), sdktrace.WithMaxExportBatchSize(min(batchSpans, cfg.queue)),
			sdktrace.WithBatchTimeout(cfg.interval), sdktrace.WithExportTimeout(cfg.timeout))}),
	)
	return t, nil
}

// noRedirect keeps the headers, which may authenticate, with the endpoint.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// spanLimits bound a span: an event's id and type come from a client, and a
// batch has a link for each of its events, at most a thousand.
func spanLimits() sdktrace.SpanLimits {
	l := sdktrace.NewSpanLimits()
	l.AttributeValueLengthLimit, l.LinkCountLimit = 1024, 1000
	return l
}

func identity(cfg Config) []attribute.KeyValue {
	id := []attribute.KeyValue{semconv.ServiceName(cfg.Service)}
	if cfg.Instance != "" {
		id = append(id, semconv.ServiceInstanceID(cfg.Instance))
	}
	if cfg.Version != "" {
		id = append(id, semconv.ServiceVersion(cfg.Version))
	}
	return id
}

// Tracer makes the spans of event-server.
func (t *Traces) Tracer() trace.Tracer { return t.provider.Tracer("eventserver") }

// Close sends what waits until ctx ends; the rest is dropped and counted. A
// collector that hangs holds it up no longer. Later calls do nothing.
func (t *Traces) Close(ctx context.Context) {
	t.closing.Do(func() {
		_ = t.provider.Shutdown(ctx) // it is ctx's end, of which the exporter tells by what it drops
		t.exporter.abandon()
		select { // what is left ends at once, but in the SDK's own goroutine
		case <-t.exporter.ended:
		case <-time.After(abandonTime):
		}
		t.transport.CloseIdleConnections()
	})
}

// secretsOf are what no log may have: the headers' values and what follows the
// host in the endpoint, where some collectors expect a token.
func secretsOf(cfg Config) []string {
	var secrets []string
	for _, value := range cfg.Headers {
		_, token, _ := strings.Cut(value, " ") // of "Bearer token"
		secrets = append(secrets, value, token)
	}
	if u, err := url.Parse(cfg.Endpoint); err == nil {
		for _, path := range []string{u.Path, u.EscapedPath(), u.RawQuery} {
			secrets = append(secrets, strings.Trim(path, "/"))
			secrets = append(secrets, strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune("/&=", r) })...)
		}
	}
	return secrets
}

// scrubbed is an error's text without secrets: it names the endpoint, and some
// collectors repeat a token that they refuse.
func scrubbed(err error, secrets *redact.Redactor) string {
	const longest = 300
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(err.Error(), "?"))
	text = secrets.Text(text, false)
	return text[:min(len(text), longest)]
}
