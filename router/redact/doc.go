// Package redact says what of an error may be kept, and where. The poison queue keeps an
// error's own words. A log keeps those alone that hold nothing of an event or an answer.
// Neither keeps a value of the event that the error is about: a destination's author
// cannot be relied on for that, nor a receiver, which may send back what it got.
//
//	error.go   an error with the messages that it is about; texts for a log and for the poison queue
//	mask.go    a text without an event's values
//	values.go  the values of an event that a text may have
//
// It is not destinations/redact, which keeps secrets and values out of what a receiver
// answered: kinds of destinations use that one, and they may not import the router.
//
// It may import package record, for the headers of an event, infra and Watermill. What
// does not belong here: who writes the log or the poison queue.
package redact
