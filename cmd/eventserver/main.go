// Command eventserver accepts events over HTTP and delivers them to every
// destination, in order per user.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"eventserver/app/admin"
)

// command is a subcommand: it parses its own flags.
type command struct {
	name, summary string
	run           func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

func commands() []command {
	return []command{
		{"serve", "accept and deliver events (the default)", serve},
		{"check", "validate a configuration and print its topology", check},
		{"transform", "run a destination's filter and transform on an event, without sending it", transform},
		{"schema", "list, check, compare and make the schemas of events", schemaCommand},
		{"send", "send events, over HTTP or straight to the broker", send},
		{"tail", "show events as they pass, and change nothing", tail},
		{"destinations", "show what each destination does, what is stuck, and why", showDestinations},
		{"pause", "hold back the attempts of a destination", pauseDestination},
		{"resume", "end a pause, or a replay that was cut short", resumeDestination},
		{"replay", "send a destination again what was accepted since a time", replayDestination},
		{"reload", "have a running server read its configuration again", reloadConfig},
		{"poison", "list, show, redrive and discard what was given up", poisonCommand},
		{"explain", "tell where an event is, what it waits for and what became of it", explainEvent},
		{"config", "print the configuration that a running server goes by, without secrets", showConfig},
		{"demo", "flaky destinations, many users, and a verdict", demoCommand},
		{"bench", "measure throughput and latency against receivers of its own", benchCommand},
		{"health", "ask a running server whether it is ready", health},
		{"version", "print the version", version},
	}
}

// ballast counts as live for the collector, which therefore lets the heap grow
// by that much more before it collects. What is really live is small, so that
// the collector otherwise took a quarter of the server's CPU. Its pages are
// never touched: they take no memory. GOGC and GOMEMLIMIT replace it.
const ballast = 64 << 20

func main() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		held := make([]byte, ballast)
		defer runtime.KeepAlive(held)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() { // a second signal ends the process at once
		<-ctx.Done()
		stop()
	}()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case misused(err):
		fmt.Fprintln(os.Stderr, "eventserver:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "eventserver:", err)
		os.Exit(1)
	}
}

// usageError is a command line that cannot be understood.
type usageError struct{ error }

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

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	name := "serve"
	if len(args) > 0 && len(args[0]) > 0 && args[0][0] != '-' {
		name, args = args[0], args[1:]
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(ctx, args, stdout, stderr)
		}
	}
	if name == "help" {
		usage(stdout)
		return nil
	}
	usage(stderr)
	return usageError{fmt.Errorf("there is no command %q", name)}
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "usage: eventserver [command] [flags]")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-12s %s\n", c.name, c.summary)
	}
	fmt.Fprintln(w, "eventserver COMMAND -h lists a command's flags.")
}

// flags parses a command's flags; what is left over is an error unless the
// command takes it.
func flags(name string, args []string, stderr io.Writer, operands int, define func(*flag.FlagSet)) ([]string, error) {
	fs := flag.NewFlagSet("eventserver "+name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	define(fs)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, usageError{err}
	}
	if fs.NArg() != operands {
		return nil, usageError{fmt.Errorf("%s takes %d arguments, not %d", name, operands, fs.NArg())}
	}
	return fs.Args(), nil
}
