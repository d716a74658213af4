package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// interruptible is a context that the first SIGINT or SIGTERM ends. The second
// one ends the process at once, with the status that shells give to a signal.
func interruptible() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	// Both are kept, however quickly the second follows.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		second := <-signals
		status := 1
		if s, ok := second.(syscall.Signal); ok {
			status = signalled + int(s)
		}
		os.Exit(status)
	}()
	return ctx
}

// signalled is what shells add to the number of the signal that ended a command.
const signalled = 128

// readerGone reports whether err is that nobody reads standard output any more,
// as in "eventserver tail | head". Where SIGPIPE is not ignored, it has ended
// the command before.
func readerGone(err error) bool {
	var path *os.PathError
	return errors.As(err, &path) && path.Path == os.Stdout.Name() && errors.Is(err, syscall.EPIPE)
}
