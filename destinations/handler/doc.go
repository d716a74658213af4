// Package handler is the kind of destination whose receiver is a function of
// the program itself: one for each type of event.
//
// A handler is called for one event of a key at a time, in order, and for many
// keys at once. What it returns is the verdict on the attempt, as of any
// destination: nil is delivered, destinations.Permanent gives the event up, any
// other error is tried again. It may be called again for an event that it has
// handled: after a crash, or when its context ended before it returned.
//
// It imports the contract and the standard library. What does not belong here:
// the decoding of events into a program's own types (app/typed).
package handler
