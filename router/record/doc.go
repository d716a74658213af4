// Package record is what stands on a topic, each name and each form once.
//
//	topics.go   names of topics and consumer groups
//	event.go    the headers of a record; events and deliveries
//	ingest.go   the one message that a request becomes
//	poison.go   what was given up, and why
//	redrive.go  positions, marks of a poison queue, and redriven deliveries
//	trace.go    W3C Trace Context in a record's headers
//
// It may import the contracts of destinations and brokers, package metrics for the words
// of reasons and marks, Watermill's messages and OpenTelemetry's trace context. What does
// not belong here: what is done with a record (router and the packages beside this one).
package record
