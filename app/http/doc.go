// Package http is the front door: our own HTTP server in front of Watermill's
// HTTP subscriber. It authenticates, bounds, decodes and validates a request,
// hands it to the subscriber as one message, and answers when that is acked:
// by then the broker has the events.
//
// It may import destinations, router (for the ingest message) and metrics. It
// knows no broker.
package http
