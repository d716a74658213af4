// Command eventserver accepts events over HTTP and delivers them to every
// destination, in order per user.
package main

import (
	"errors"
	"fmt"
	"net/http"
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
	status := 0
	var answer *admin.Error
	var refused interface{ GetStatus() int } // as admin.Invalid makes them
	switch {
	case errors.As(err, &answer):
		status = answer.Status
	case errors.As(err, &refused):
		status = refused.GetStatus()
	}
	return errors.As(err, new(usageError)) || errors.Is(err, admin.ErrBadQuestion) ||
		status == http.StatusBadRequest || status == http.StatusUnprocessableEntity
}
