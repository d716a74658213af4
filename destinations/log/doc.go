// Package log writes each delivery as one line, for people to look at: to see
// what flows through while a destination is set up, or what one would send.
//
// A line cannot be forged: control characters, line separators and
// direction marks of event data are escaped. Long bodies are cut. There is no
// durability here; package file has that.
//
// A writer that blocks, such as a full pipe, blocks the lines behind it; their
// attempts end with their contexts. A line whose attempt ended while it was
// being written may still appear.
//
// It may import destinations and the standard library. The server's own log
// (log/slog) is another thing and does not belong here.
package log
