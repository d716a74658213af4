// Package schedule decides which deliveries of a destination are attempted now,
// and what the others wait for. It is a state machine: plain state, driven by calls
// that carry the time. It starts no goroutine and no timer, takes no lock, writes no
// log and knows no receiver. Package router drives it and makes the attempts.
//
// It may import Watermill's messages, package metrics for the names of waits, and the
// standard library.
package schedule
