// Package bench measures event-server from outside: it runs the real program
// in a process of its own, posts events over HTTP, plays the receivers, and
// judges loss, order and duplicates of what it measured.
//
// It may import app/checker and the standard library. It knows the server by
// its command line, its configuration file and its HTTP API alone.
package bench
