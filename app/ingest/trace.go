package ingest

import (
	"net/http"

	"github.com/go-chi/chi/v5/middleware"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"eventserver/destinations"
	"eventserver/router/record"
)

// traced makes a span of each request. It has the method, the route and the
// answer: no address, header or body of the client's. otelhttp, the library for
// it, tells more of the client than may be told, and comes with metrics of its own.
func (s *Server) traced(route string, next http.HandlerFunc) http.HandlerFunc {
	tracer := s.cfg.Tracer
	if tracer == nil {
		return next
	}
	name := http.MethodPost + " " + route
	return func(w http.ResponseWriter, r *http.Request) {
		// A traceparent that is malformed is none, and so are two, and baggage.
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.MapCarrier(destinations.MetadataFrom(r.Header, nil)))
		ctx, span := tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next(ww, r.WithContext(ctx))
		if !span.IsRecording() {
			return
		}
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		span.SetAttributes(semconv.HTTPRequestMethodPost, semconv.HTTPRoute(route), semconv.URLPath(route),
			semconv.URLScheme(scheme), semconv.HTTPResponseStatusCode(ww.Status()))
		spanStatus(span, ww.Status())
	}
}

// metadata is what goes with the events of a request: the trace context is that
// of the request's span when there is one.
func (s *Server) metadata(r *http.Request) map[string]string {
	md := destinations.MetadataFrom(r.Header, s.cfg.MetadataHeaders)
	if s.cfg.Tracer == nil {
		return md
	}
	if md == nil {
		md = map[string]string{}
	}
	record.SetTrace(trace.SpanContextFromContext(r.Context()), md)
	return md
}

// spanStatus marks the span of a request that was answered with status: what
// the client did wrong is no error of the server.
func spanStatus(span trace.Span, status int) {
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
		span.SetAttributes(semconv.ErrorTypeKey.Int(status))
	}
}
