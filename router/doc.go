// Package router chains the pipeline out of Watermill routers: the ingest handler stores
// events, each destination's transform handler makes its payloads, each destination's
// deliver handler sends them on. Destinations come and go while it runs.
//
//	record/     what stands on a topic: names, headers, codecs
//	attempt/    one attempt, the middlewares around it, and the scheduler in front of them
//	schedule/   which delivery is attempted next
//	redact/     what of an error may be kept
//	expr/       filters and transforms that operators write
//	control/    what operators have changed, for every process
//	poison/     the poison queues: list, show, redrive, discard
//	explain/    where an event is
//	routertest/ set-up of tests
//
// It may import these but the last five, and destinations, infra, metrics and Watermill. It
// names no concrete kind of destination and no concrete broker, and knows no HTTP.
package router
