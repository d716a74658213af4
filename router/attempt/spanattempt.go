package attempt

import (
	"context"
	"errors"

	"github.com/ThreeDotsLabs/watermill/message"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/record"
)

// middlewares are what a delivery passes through for its spans: one around all
// of it, one around each attempt. Without spans there are none.
func (s *Spans) middlewares() (delivery, attempt []message.HandlerMiddleware) {
	if s == nil {
		return nil, nil
	}
	return []message.HandlerMiddleware{s.delivery}, []message.HandlerMiddleware{s.attempt}
}

// delivery is the span from the first attempt of a delivery to its end, with its waits:
// the attempts stand side by side in it. The scheduler keeps it between them, and ends it.
func (s *Spans) delivery(next message.HandlerFunc) message.HandlerFunc {
	topic, group := record.DestinationTopic(s.id), record.DeliverGroup(s.id)
	return func(msg *message.Message) ([]*message.Message, error) {
		ctx := msg.Context()
		a := attemptOf(ctx)
		if a.kept == nil {
			_, span := s.start(ctx, record.TraceOf(msg.Metadata), "process "+topic, trace.SpanKindConsumer)
			if span.IsRecording() {
				s.read(span, topic, group, msg)
			}
			a.kept = &kept{span: span}
		}
		msg.SetContext(trace.ContextWithSpan(ctx, a.kept.span))
		defer msg.SetContext(ctx)
		return next(msg)
	}
}

// attempt is the span of one attempt. Its context is what the receiver gets.
func (s *Spans) attempt(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		ctx := msg.Context()
		sctx, span := s.start(ctx, trace.SpanContext{}, "deliver "+s.id, trace.SpanKindClient)
		defer span.End()
		msg.SetContext(sctx)
		defer msg.SetContext(ctx)
		out, err := next(msg)
		if span.IsRecording() {
			s.event(span, msg.Metadata)
			span.SetAttributes(attrAttempt.Int(attemptOf(ctx).number()))
			attempted(span, class(ctx, err), err)
		}
		return out, err
	}
}

// attempted tells how an attempt ended.
func attempted(span trace.Span, class string, err error) {
	span.SetAttributes(attrOutcome.String(class))
	var answer *destinations.StatusError
	if errors.As(err, &answer) {
		span.SetAttributes(semconv.HTTPResponseStatusCode(answer.Status))
	}
	if class != metrics.ClassSuccess {
		failed(span, class)
	}
}

// sent is metadata as it goes to the receiver of the attempt of ctx.
func (s *Spans) sent(ctx context.Context, metadata map[string]string) map[string]string {
	if metadata == nil {
		metadata = map[string]string{}
	}
	record.SetTrace(trace.SpanContextFromContext(ctx), metadata)
	return metadata
}

// batch begins the spans of an attempt of many: one of the call, with links to
// all the deliveries, and one of each delivery in its own trace, which is what
// the receiver gets with it, with a link to the call. The call's is in the trace
// of the first that is sampled, so that it is sampled when any is.
func (s *Spans) batch(ctx context.Context, deliveries []destinations.Delivery, msgs []*message.Message) (context.Context, func(class string, err error)) {
	parents := make([]trace.SpanContext, len(msgs))
	links := make([]trace.Link, 0, len(msgs))
	var parent trace.SpanContext
	for i, msg := range msgs {
		p := record.TraceOf(msg.Metadata)
		parents[i] = p
		if p.IsValid() && (!parent.IsValid() || p.IsSampled() && !parent.IsSampled()) {
			parent = p
		}
		if p.IsSampled() {
			links = append(links, trace.Link{SpanContext: p})
		}
	}
	call, span := s.start(ctx, parent, "deliver batch "+s.id, trace.SpanKindClient, trace.WithLinks(links...))
	link := trace.WithLinks(trace.Link{SpanContext: span.SpanContext()})
	each := make([]trace.Span, len(msgs))
	for i, msg := range msgs {
		_, each[i] = s.start(ctx, parents[i], "deliver "+s.id, trace.SpanKindClient, link)
		deliveries[i].Metadata = s.sent(trace.ContextWithSpan(ctx, each[i]), deliveries[i].Metadata)
		if each[i].IsRecording() {
			s.read(each[i], record.DestinationTopic(s.id), record.DeliverGroup(s.id), msg)
		}
	}
	if span.IsRecording() {
		span.SetAttributes(s.common...)
		span.SetAttributes(semconv.MessagingBatchMessageCount(len(msgs)))
	}
	return destinations.WithCallMetadata(call, s.sent(call, nil)), func(class string, err error) {
		for _, one := range append(each, span) {
			if one.IsRecording() {
				one.SetAttributes(attrAttempt.Int(0))
				attempted(one, class, err)
			}
			one.End()
		}
	}
}
