// Package checker compares what destinations received with what was accepted:
// nothing lost, first deliveries in order for every user, repeats counted,
// attempts within their limit, nothing in a poison queue that has no reason to
// be there, nothing that nobody posted. The demonstration, the benchmark and the
// tests that kill processes judge with it.
//
// It imports the standard library alone.
package checker
