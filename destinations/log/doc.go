// Package log is the destination that writes each delivery as one line, so
// that a newcomer sees an event arrive.
//
// It may import destinations and the standard library.
package log
