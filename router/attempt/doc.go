// Package attempt makes one attempt of a delivery, and says what becomes of it. Config is
// what the attempts of one destination are made with, and Config.Chain builds the
// middlewares, one file each, the outermost first:
//
//	stack.go        grows the goroutine once
//	verdict.go      tells the scheduler what became of the attempt
//	batch.go        makes the attempt of a batch
//	spanattempt.go  spans of the delivery and of each attempt
//	poison.go       moves what was given up to the poison queue
//	retry.go        judges a failed attempt: another one at a time, or none
//	deliver.go      times the attempt, ends it, and calls the destination
//
// Scheduler (scheduler.go) stands in front of them, as a Watermill decorator of the
// destination's subscriber. It drives a schedule.Machine and hands out what may be
// attempted now. Beside it: what the attempts say of a destination (health.go), the last
// deliveries (recent.go), the error that gives an event up (giveup.go).
//
// It may import record, redact, schedule, destinations, infra, metrics and Watermill. What
// does not belong here: stages, groups and their lives (router), which delivery is next
// (schedule), what a record looks like (record).
package attempt
