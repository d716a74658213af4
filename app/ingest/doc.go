// Package ingest is the front door: our own HTTP server in front of Watermill's
// HTTP subscriber. It authenticates, bounds, decodes and validates a request,
// hands it to the subscriber as one message, and answers when that is acked:
// by then the broker has the events.
//
//	connections.go  the listener: how many connect, and what heads of requests take
//	auth.go, browser.go  who may ask; app/access has what the admin API shares
//	intake.go       the order of a request: key, body, slot, decoding, answer
//	body.go         a body, decompressed and charged; the forms that are refused
//	events.go       the two paths that take events
//	contract.go     what schemas say of an event
//	scrape.go       /metrics, with a listener and tokens of its own where configured
//	problem.go      answers
//
// A client that is slow, in sending or in reading, holds its connection and the
// bytes that are its own, and no slot of another: the body is read before the
// slot is taken, and the answer is written after it is given back.
//
// It may import app/access, app/schema, destinations, router (for the ingest
// message) and metrics. It knows no broker. What a request costs is in package
// budget, what a body means in package envelope.
package ingest
