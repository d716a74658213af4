// Package tracingtest has an OpenTelemetry collector for tests: it takes OTLP over
// HTTP and keeps what came. It belongs in no program.
package tracingtest
