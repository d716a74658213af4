package attempt

import (
	"context"
	"errors"
	"strconv"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/record"
)

// Attributes of our own, beside OpenTelemetry's. What may stand in a span is an
// event's id and type, where it is, and words of ours: no key, no payload, and
// no text of an error, which may hold a piece of either.
const (
	attrDestination = attribute.Key("eventserver.destination")
	attrKind        = attribute.Key("eventserver.destination.kind")
	attrAttempt     = attribute.Key("eventserver.attempt") // from 1; 0: of a batch
	attrOutcome     = attribute.Key("eventserver.outcome") // a class or an outcome of package metrics
	attrReason      = attribute.Key("eventserver.reason")  // of the poison queue
)

// Outcomes of spans beside those of package metrics.
const (
	outcomeTransformed = "transformed"
	outcomeReturned    = "returned" // it is tried again by whoever reads it next
	eventPoisoned      = "poisoned"
)

// Spans makes the spans of one destination, or of ingest. A nil one, when there
// is no tracer, makes none: what is called for each event asks first.
type Spans struct {
	tracer trace.Tracer
	id     string               // of the destination; "": of ingest
	common []attribute.KeyValue // system, destination, kind
}

// NewSpans makes the spans of a destination, of ingest without an id. system is the
// broker's name in them, messaging.system.
func NewSpans(tracer trace.Tracer, system, id, kind string) *Spans {
	if tracer == nil {
		return nil
	}
	s := &Spans{tracer: tracer, id: id}
	if system != "" {
		s.common = append(s.common, semconv.MessagingSystemKey.String(system))
	}
	if id != "" {
		s.common = append(s.common, attrDestination.String(id), attrKind.String(kind))
	}
	return s
}

// start begins a span under parent, or under ctx's when parent is not valid.
func (s *Spans) start(ctx context.Context, parent trace.SpanContext, name string, kind trace.SpanKind, more ...trace.SpanStartOption) (context.Context, trace.Span) {
	if parent.IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, parent)
	}
	return s.tracer.Start(ctx, name, append(more, trace.WithSpanKind(kind))...)
}

// event is what a span tells of a record.
func (s *Spans) event(span trace.Span, md message.Metadata) {
	span.SetAttributes(s.common...)
	span.SetAttributes(semconv.CloudEventsEventID(md[record.HeaderID]))
	if typ := md[record.HeaderType]; typ != "" {
		span.SetAttributes(semconv.CloudEventsEventType(typ))
	}
}

// read is what a span tells of a record that was read from topic.
func (s *Spans) read(span trace.Span, topic, group string, msg *message.Message) {
	s.event(span, msg.Metadata)
	span.SetAttributes(semconv.MessagingDestinationName(topic), semconv.MessagingConsumerGroupName(group),
		semconv.MessagingOperationTypeProcess, semconv.MessagingOperationName("process"))
	if p := infra.Partition(msg); p >= 0 {
		span.SetAttributes(semconv.MessagingDestinationPartitionID(strconv.Itoa(int(p))))
	}
	if o := infra.Offset(msg); o >= 0 {
		span.SetAttributes(semconv.MessagingKafkaOffset(int(o)))
	}
}

// failed marks a span. class is a word of ours.
func failed(span trace.Span, class string) {
	span.SetStatus(codes.Error, class)
	span.SetAttributes(semconv.ErrorTypeKey.String(class))
}

// Publish publishes records, with a span for each that they were made under;
// one for all that came with one request. Each record goes with the span that
// wrote it.
func (s *Spans) Publish(pub message.Publisher, topic string, recs []*message.Message) error {
	if s == nil {
		return pub.Publish(topic, recs...)
	}
	ended := s.publishing(topic, recs)
	err := pub.Publish(topic, recs...)
	ended(err)
	return err
}

// Stores is publish for records that somebody else publishes.
func (s *Spans) Stores(topic string, recs []*message.Message) (ended func(error)) {
	if s == nil || len(recs) == 0 {
		return func(error) {}
	}
	return s.publishing(topic, recs)
}

func (s *Spans) publishing(topic string, recs []*message.Message) (ended func(error)) {
	of := make([]trace.Span, len(recs)) // of each record
	var all []trace.Span                // each once
	var last trace.SpanContext          // parent of the last of all
	for i, rec := range recs {
		parent := trace.SpanContextFromContext(rec.Context())
		if !parent.IsValid() {
			parent = record.TraceOf(rec.Metadata)
		}
		if i == 0 || !parent.IsValid() || !parent.Equal(last) {
			_, span := s.start(context.Background(), parent, "publish "+topic, trace.SpanKindProducer)
			all, last = append(all, span), parent
		}
		of[i] = all[len(all)-1]
		record.StampTrace(of[i].SpanContext(), rec.Metadata)
	}
	for _, span := range all {
		if !span.IsRecording() {
			continue
		}
		span.SetAttributes(s.common...)
		span.SetAttributes(semconv.MessagingDestinationName(topic), semconv.MessagingOperationTypeSend, semconv.MessagingOperationName("publish"))
		if len(recs) > 1 {
			span.SetAttributes(semconv.MessagingBatchMessageCount(len(recs)))
		}
	}
	for i, rec := range recs {
		if (len(all) > 1 || len(recs) == 1) && of[i].IsRecording() {
			s.event(of[i], rec.Metadata)
		}
	}
	return func(err error) {
		if err != nil {
			bad := recs
			var some *infra.PublishError
			if errors.As(err, &some) {
				bad = some.Failed
			}
			class := metrics.ClassError
			if errors.Is(err, infra.ErrTooLarge) {
				class = metrics.RejectTooLarge
			}
			for i, rec := range recs {
				for _, b := range bad {
					if b == rec {
						failed(of[i], class)
					}
				}
			}
		}
		for _, span := range all {
			span.End()
		}
	}
}

// Transform runs make in a span. The record goes on under it.
func (s *Spans) Transform(ctx context.Context, msg *message.Message, make func(context.Context, *message.Message) (*message.Message, error)) (*message.Message, error) {
	tctx, span := s.start(ctx, record.TraceOf(msg.Metadata), "transform "+s.id, trace.SpanKindConsumer)
	defer span.End()
	if span.IsRecording() {
		s.read(span, record.EventsTopic, record.TransformGroup(s.id), msg)
	}
	rec, err := make(tctx, msg)
	var given *GiveUp
	switch {
	case err == nil:
		rec.SetContext(trace.ContextWithSpanContext(rec.Context(), span.SpanContext()))
		span.SetAttributes(attrOutcome.String(outcomeTransformed))
	case errors.Is(err, destinations.ErrSkip):
		span.SetAttributes(attrOutcome.String(metrics.Skipped))
	case ctx.Err() == nil && errors.As(err, &given):
		given.span = span.SpanContext()
		poisoned(span, given.Reason)
	default:
		span.SetAttributes(attrOutcome.String(outcomeReturned))
	}
	return rec, err
}

// Of gives g the span that rec was made in.
func (s *Spans) Of(rec *message.Message, g *GiveUp) *GiveUp {
	if s != nil {
		g.span = trace.SpanContextFromContext(rec.Context())
	}
	return g
}

func poisoned(span trace.Span, reason string) {
	failed(span, reason)
	span.SetAttributes(attrOutcome.String(metrics.Poisoned))
	span.AddEvent(eventPoisoned, trace.WithAttributes(attrReason.String(reason)))
}

// poisons begins the span of a record's way to the poison queue.
func (s *Spans) poisons(ctx context.Context, g *GiveUp, topic string, rec *message.Message) (ended func(error)) {
	parent := g.span
	if !parent.IsValid() {
		parent = trace.SpanContextFromContext(ctx)
	}
	if !parent.IsValid() {
		parent = record.TraceOf(rec.Metadata)
	}
	rec.SetContext(trace.ContextWithSpanContext(rec.Context(), parent))
	publishing := s.publishing(topic, []*message.Message{rec})
	return func(err error) {
		if err == nil && !g.span.IsValid() { // else the transformation's, which has told
			poisoned(trace.SpanFromContext(ctx), g.Reason)
		}
		publishing(err)
	}
}
