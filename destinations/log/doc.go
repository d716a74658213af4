// Package log writes each delivery as one line, for people to look at: to see
// what flows through while a destination is set up, or what one would send.
//
// A line cannot be forged: control characters, line separators and
// direction marks of event data are escaped. Long bodies are cut. There is no
// durability here; package file has that.
//
// A writer whose reader is gone or takes nothing, such as a full pipe, is a
// destination that is down: attempts end at their deadlines and are not counted,
// the destination pauses, and its events wait. One goroutine waits for a stuck
// writer, however many attempts it outlasts; the line that it holds may still
// appear, and once more with the next attempt.
//
// It may import destinations and the standard library. The server's own log
// (log/slog) is another thing and does not belong here.
package log
