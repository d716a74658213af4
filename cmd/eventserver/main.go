// Command eventserver accepts events over HTTP and delivers them to every
// destination, in order per user.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"eventserver/app/admin"
)

func main() {
	if !collectorIsSet() {
		held := make([]byte, ballast)
		defer runtime.KeepAlive(held)
	}
	err := run(interruptible(), os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil:
		return
	case readerGone(err):
		os.Exit(signalled + int(syscall.SIGPIPE))
	}
	if !errors.As(err, new(reported)) {
		fmt.Fprintln(os.Stderr, "eventserver:", err)
	}
	if misused(err) {
		os.Exit(2)
	}
	os.Exit(1)
}

// misused reports whether the command line is at fault: by itself, or because a
// server, or what does without one, cannot mean what it asks for.
func misused(err error) bool {
	return errors.As(err, new(usageError)) || admin.IsInvalid(err)
}
