// Package router chains the pipeline out of Watermill routers: the ingest
// handler stores events, each destination's transform handler makes its
// payloads, each destination's deliver handler sends them on. A scheduler in front
// of that (a Watermill decorator) hands out what may be attempted now; retry, timeout,
// poison queue and the others are middlewares that judge one attempt, one file each.
//
// It may import destinations, infra and metrics, and Watermill. It names no
// concrete kind of destination and no concrete broker.
package router
