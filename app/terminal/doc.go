// Package terminal makes text that comes from others fit for a line of a terminal. It
// imports the standard library alone.
package terminal
