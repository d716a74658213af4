// Package hangup takes SIGHUP before the rest of the program is initialised.
//
// A service manager or logrotate may send it as soon as the process exists, and
// without this it ends the process. The other packages take some 20 ms to
// initialise. Go initialises packages in the order of their import paths, so
// this one, which imports the standard library alone, comes before nearly all.
// It is the one exception to "no package-level state".
package hangup

import (
	"os"
	"os/signal"
	"syscall"
)

var signals = take()

func take() chan os.Signal {
	c := make(chan os.Signal, 1) // several are one: each means "read it again"
	signal.Notify(c, syscall.SIGHUP)
	return c
}

// Signals has a value after a SIGHUP since the start of the process.
func Signals() <-chan os.Signal { return signals }

// Default gives SIGHUP its usual meaning back, which is to end the process.
func Default() { signal.Reset(syscall.SIGHUP) }
