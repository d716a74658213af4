// Package poison is the poison queue as a tool: what deliveries were given up
// is listed, counted, shown, redriven and discarded, over any broker.
//
// A poison queue is the topic poison.<destination>, and nothing else: what was
// given up, and marks that settle it (record.Mark), in one log that explains
// itself. What has no mark waits for an operator.
//
//	service.go  what it is made of
//	types.go    questions, orders and answers
//	errors.go   kinds of refusals
//	filter.go   which items are meant
//	index.go    which of them are settled, and which keys are out of order
//	look.go     list, count, show
//	source.go   the body of an item that the queue had no room for
//	lease.go    who may change a destination's queue: records in topic control
//	recover.go  the marks that a killed run did not get to write
//	job.go      one run over one queue: what becomes of each item
//	batch.go    sending on, and marking
//	runs.go     the runs under way, and what became of the last ones
//
// A redrive publishes to the destination's topic first and writes the mark after
// it, some items at a time. Two things keep an item from being sent twice: one
// run at a time has the lease of a destination, and the next run after one that
// was killed looks up in the destination's topic what that one had sent, and
// marks it, before it begins.
//
// The admin API and the commands that go straight to a broker show its types, so that
// both say the same. The package may import router, infra and control; it knows no
// configuration, no concrete broker and no HTTP: package app gives it what it needs.
package poison
