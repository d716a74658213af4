// Package tracing sends spans to an OpenTelemetry collector: OTLP over HTTP.
//
// It is the one place that knows OpenTelemetry's SDK; who makes spans (router,
// app/ingest) gets a trace.Tracer, or nil when traces are off. It sets none of
// OpenTelemetry's globals, so that two Apps in one process have a collector
// each, and it never makes anybody wait: what does not fit in its queue, or
// what the collector does not take in time, is dropped and counted.
package tracing
