package attempt

import (
	"eventserver/router/record"
	"eventserver/router/routertest"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel/trace"
)

// Without a tracer there is nothing in the way of an event: no middleware, and
// not an allocation more to publish.
func TestNoTracerCostsNothing(t *testing.T) {
	s := NewSpans(nil, "", "", "")
	if delivery, attempt := s.middlewares(); s != nil || len(delivery)+len(attempt) != 0 {
		t.Fatalf("%v, %d middlewares", s, len(delivery)+len(attempt))
	}
	recs := []*message.Message{routertest.Record("k", "e")}
	var pub message.Publisher = routertest.Sink{}
	if n := testing.AllocsPerRun(100, func() { _ = s.Publish(pub, record.EventsTopic, recs) }); n != 0 {
		t.Errorf("publish allocates %v times", n)
	}
	if s.Of(recs[0], &GiveUp{}).span.IsValid() {
		t.Error("a span of nothing")
	}
}

// What is not a trace context is none, and its tracestate goes with it.
func TestStamp(t *testing.T) {
	id, span := trace.TraceID{1}, trace.SpanID{2}
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: trace.FlagsSampled})
	md := message.Metadata{record.HeaderTraceparent: "nonsense", "es_meta_tracestate": "a=b", "es_meta_" + "x": "y"}
	if record.TraceOf(md).IsValid() {
		t.Error("nonsense is valid")
	}
	record.StampTrace(trace.SpanContext{}, md)
	if md[record.HeaderTraceparent] != "nonsense" || md["es_meta_tracestate"] != "a=b" {
		t.Errorf("no span changed it: %v", md)
	}
	record.StampTrace(sc, md)
	if got := record.TraceOf(md); got.TraceID() != id || got.SpanID() != span || !got.IsSampled() || md["es_meta_tracestate"] != "" || md["es_meta_"+"x"] != "y" {
		t.Errorf("%v", md)
	}
}
