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
