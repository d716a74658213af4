// Package bench measures event-server from outside: it runs the real program
// in a process of its own, posts events over HTTP, plays the receivers, and
// judges loss, order and duplicates of what it measured. Package byhand is the
// program that it is compared with: a process too, which bench knows in the same way.
//
// It may import package checker, router/plural and the standard library. It knows the server by
// its command line, its configuration file and its HTTP API alone.
package bench
