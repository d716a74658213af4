// Package router chains the pipeline out of Watermill routers: the ingest
// handler stores events, each destination's transform handler makes its
// payloads, each destination's deliver handler sends them on. Ordering, retry,
// breaker, limits, timeout and poison queue are Watermill decorators and
// middlewares, one file each.
//
// It may import destinations, infra and metrics, and Watermill. It names no
// concrete kind of destination and no concrete broker.
package router
