// Package plural writes what people read of numbers: a count with its noun and
// its verb, so that no text says "1 users wait".
//
// It imports the standard library alone, and every room may import it.
package plural
