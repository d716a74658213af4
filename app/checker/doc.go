// Package checker compares what destinations received with what was accepted:
// nothing lost, first deliveries in order for every user, repeats counted. The
// demonstration, the benchmark and the tests that kill processes judge with it.
//
// It imports the standard library alone.
package checker
