package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"eventserver/cmd/eventserver/internal/hangup"
)

// command is one entry of the table that the dispatcher, the help and the
// suggestions read. It parses its own flags, or is a group of others.
type command struct {
	name, summary string
	run           func(ctx context.Context, args []string, stdout, stderr io.Writer) error
	sub           []command // of a group, which has no run
}

// defaultCommand is the one of a command line that begins with a flag, or is empty.
const defaultCommand = "serve"

func commands() []command {
	return []command{
		{name: defaultCommand, summary: "accept and deliver events (the default)", run: serve},
		{name: "check", summary: "validate a configuration and print its topology", run: check},
		{name: "transform", summary: "run a destination's filter and transform on an event, without sending it", run: transform},
		{name: "schema", summary: "list, check, compare and make the schemas of events", sub: []command{
			{name: "list", summary: "the types of events", run: schemaList},
			{name: "check", summary: "find the faults of the schemas and of their test events", run: schemaCheck},
			{name: "validate", summary: "validate events by their schemas: FILE or -, one event or NDJSON", run: schemaValidate},
			{name: "diff", summary: "what changed from OLD to NEW, directories or git:REVISION:PATH", run: schemaDiff},
			{name: "new", summary: "write the schema of a new TYPE, its example and its test events", run: schemaNew},
			{name: "generate", summary: "write the Go package of the schemas", run: schemaGenerate},
		}},
		{name: "send", summary: "send events, over HTTP or straight to a Kafka cluster", run: send},
		{name: "tail", summary: "show events as they pass, and change nothing", run: tail},
		{name: "destinations", summary: "show what each destination does, what is stuck, and why", run: showDestinations},
		{name: "pause", summary: "hold back the attempts of a destination", run: pauseDestination},
		{name: "resume", summary: "end a pause, a hold, or a replay that was cut short", run: resumeDestination},
		{name: "retry", summary: "make the attempts of a destination that wait now", run: retryDestination},
		{name: "replay", summary: "send a destination again what was accepted since a time", run: replayDestination},
		{name: "forget", summary: "delete what a removed destination has left on the broker", run: forgetDestination},
		{name: "reload", summary: "have a running server read its configuration again", run: reloadConfig},
		{name: "poison", summary: "list, show, redrive and discard what was given up", sub: []command{
			{name: "list", summary: "what was given up and is not settled", run: poisonList},
			{name: "counts", summary: "how much of it there is, by destination and reason", run: poisonCounts},
			{name: "show", summary: "all there is of one event, settled or not", run: poisonShow},
			{name: "redrive", summary: "send it on again, in the order of each user", run: poisonRedrive},
			{name: "discard", summary: "settle it without sending it", run: poisonDiscard},
		}},
		{name: "explain", summary: "say where an event is, what it waits for and what became of it", run: explainEvent},
		{name: "config", summary: "print the configuration of a running server, without secrets", run: showConfig},
		{name: "backup", summary: "copy what the embedded broker has stored to another directory", run: backupBroker},
		{name: "repair", summary: "copy what can be read of a damaged directory of the embedded broker", run: repairBroker},
		{name: "secret", summary: "make secrets, keys and tokens", sub: []command{
			{name: "new", summary: "make a signing secret, an API key or an admin token, with its digest", run: secretNew},
		}},
		{name: "demo", summary: "flaky destinations, many users, and a verdict", run: demoCommand},
		{name: "bench", summary: "measure throughput and latency against receivers of its own", run: benchCommand},
		{name: "health", summary: "ask a running server whether it is ready", run: health},
		{name: "version", summary: "print the version and the commit", run: version},
	}
}

// run runs a command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && (args[0] == "--version" || args[0] == "-version") {
		args = append([]string{"version"}, args[1:]...)
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") && !helpWord(args[0]) {
		args = append([]string{defaultCommand}, args...)
	}
	err := dispatch(ctx, "", commands(), args, stdout, stderr)
	if help, ok := err.(helpText); ok { //nolint:errorlint // parse makes it and nobody wraps it
		_, err = io.WriteString(stdout, string(help))
	}
	return err
}

// dispatch runs the command of list that args name. group is that of list: "" or
// such as "poison ".
func dispatch(ctx context.Context, group string, list []command, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return misuse("%s: name a command: %s", strings.TrimSpace(group), strings.Join(names(list), ", "))
	}
	name, rest := args[0], args[1:]
	if helpWord(name) || name == "help" {
		if len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
			return helpText(listHelp(group, list))
		}
		// The help of a command is what it prints for --help.
		return dispatch(ctx, group, list, append(rest[:len(rest):len(rest)], "--help"), stdout, stderr)
	}
	c, ok := find(list, name)
	switch {
	case !ok:
		hint := "eventserver " + group + "--help lists the commands"
		if near := nearest(name, names(list)); near != "" {
			hint = fmt.Sprintf("did you mean eventserver %s%s?", group, near)
		}
		return misuse("there is no command %.80q; %s", group+name, hint)
	case c.run == nil:
		return dispatch(ctx, group+name+" ", c.sub, rest, stdout, stderr)
	}
	if group != "" || name != defaultCommand {
		hangup.Default()
	}
	return c.run(ctx, rest, stdout, stderr)
}

func names(list []command) []string {
	var out []string
	for _, c := range list {
		out = append(out, c.name)
	}
	return out
}

// listHelp is the help of a group of commands, "" for all.
func listHelp(group string, list []command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: eventserver %sCOMMAND [flags]\n\n", group)
	for _, c := range list {
		fmt.Fprintf(&b, "  %-12s  %s\n", c.name, c.summary)
	}
	fmt.Fprintf(&b, "\neventserver %sCOMMAND --help lists a command's flags.\n", group)
	if group == "" {
		fmt.Fprintf(&b, `Flags stand before or after operands; -- ends them.

environment, where the flag is not given:
  %-24s  URL of the admin API (--admin)
  %-24s  token of the admin API (--token)
  %-24s  API key of send (--api-key-file)
`, adminVariable, tokenVariable, keyVariable)
	}
	return b.String()
}
