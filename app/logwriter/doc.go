// Package logwriter keeps a log from holding up the program that writes it.
//
// A Writer takes lines at once and writes them in a goroutine of its own. What
// waits is bounded. When the reader is slow, stopped or gone, lines are dropped
// and counted, and the log says how many as soon as it can be written again.
//
// It imports the standard library only, and knows no format of lines.
package logwriter
