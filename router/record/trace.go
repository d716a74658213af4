package record

import (
	"context"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// W3C Trace Context travels with an event as metadata, as it does without spans:
// each span that hands the event on puts itself in the place of the one before.
const (
	Traceparent       = "traceparent"
	tracestate        = "tracestate"
	HeaderTraceparent = hMeta + Traceparent
	hTracestate       = hMeta + tracestate
)

// carrier is the metadata of a record, as the propagator sees it.
type carrier message.Metadata

// Get implements propagation.TextMapCarrier.
func (c carrier) Get(key string) string { return c[hMeta+key] }

// Set implements propagation.TextMapCarrier.
func (c carrier) Set(key, value string) { c[hMeta+key] = value }

// Keys implements propagation.TextMapCarrier.
func (c carrier) Keys() []string {
	var keys []string
	for k := range c {
		if name, ok := strings.CutPrefix(k, hMeta); ok {
			keys = append(keys, name)
		}
	}
	return keys
}

// TraceOf is the span that wrote a record, as far as it tells; not valid when
// it does not, or tells nonsense.
func TraceOf(md message.Metadata) trace.SpanContext {
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier(md)))
}

// SetTrace puts a span into metadata of an event. The tracestate is the span's:
// one without its traceparent says nothing.
func SetTrace(sc trace.SpanContext, metadata map[string]string) {
	if sc.IsValid() {
		delete(metadata, tracestate)
		propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), sc), propagation.MapCarrier(metadata))
	}
}

// StampTrace is SetTrace for a record.
func StampTrace(sc trace.SpanContext, md message.Metadata) {
	if sc.IsValid() {
		delete(md, hTracestate)
		propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), sc), carrier(md))
	}
}
