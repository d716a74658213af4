package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// everyCommand lists the command lines of the table, such as poison list.
func everyCommand(list []command, group string) []string {
	var out []string
	for _, c := range list {
		if c.run == nil {
			out = append(out, everyCommand(c.sub, group+c.name+" ")...)
		} else {
			out = append(out, group+c.name)
		}
	}
	return out
}

func TestHelp(t *testing.T) {
	all, err := shell(t, "--help")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands() {
		if !strings.Contains(all, "  "+c.name+" ") || !strings.Contains(all, c.summary) {
			t.Errorf("--help does not list %s", c.name)
		}
		if c.run != nil {
			continue
		}
		for _, args := range [][]string{{c.name, "--help"}, {c.name, "-h"}, {c.name, "help"}, {"help", c.name}} {
			out, err := shell(t, args...)
			for _, s := range c.sub {
				if err != nil || !strings.Contains(out, "  "+s.name+" ") {
					t.Errorf("%q does not list %s: %v", args, s.name, err)
				}
			}
		}
	}
	for _, args := range [][]string{{"-h"}, {"-help"}, {"help"}} {
		if got, err := shell(t, args...); err != nil || got != all {
			t.Errorf("%q: %q, %v", args, got, err)
		}
	}
	for _, name := range everyCommand(commands(), "") {
		words := strings.Fields(name)
		want := "usage: eventserver " + name + " "
		for _, args := range [][]string{
			append(words[:len(words):len(words)], "--help"), append(words[:len(words):len(words)], "-h"), append([]string{"help"}, words...),
			append(words[:len(words):len(words)], "an-operand", "--help"),
		} {
			if out, err := shell(t, args...); err != nil || !strings.HasPrefix(out, want) || !strings.HasSuffix(out, "\n") {
				t.Errorf("%q: %q, %v", args, out, err)
			}
		}
	}
	if out, err := shell(t, "--config", "x", "--help"); err != nil || !strings.HasPrefix(out, "usage: eventserver serve ") {
		t.Errorf("--help among the flags of serve: %q, %v", out, err)
	}
}

func TestNoSuchCommand(t *testing.T) {
	for args, want := range map[string]string{
		"detsinations":     `there is no command "detsinations"; did you mean eventserver destinations?`,
		"Poison list":      `there is no command "Poison"; did you mean eventserver poison?`,
		"poison cuonts":    `there is no command "poison cuonts"; did you mean eventserver poison counts?`,
		"schema wipe":      `there is no command "schema wipe"; eventserver schema --help lists the commands`,
		"help verion":      `there is no command "verion"; did you mean eventserver version?`,
		"zzz --help":       `there is no command "zzz"; eventserver --help lists the commands`,
		"poison":           `poison: name a command: list, counts, show, redrive, discard`,
		"--config x check": `write the command first: eventserver check [flags]`,
	} {
		out, err := shell(t, strings.Fields(args)...)
		if err == nil || err.Error() != want || !errors.As(err, new(usageError)) || out != "" {
			t.Errorf("%s: %q, %v", args, out, err)
		}
	}
}

// No command panics or hangs, whatever its arguments are. The context has ended,
// so that a server that starts stops at once.
func TestOddArguments(t *testing.T) {
	t.Chdir(t.TempDir())
	stdin := os.Stdin
	t.Cleanup(func() { os.Stdin = stdin })
	var err error
	if os.Stdin, err = os.Open(os.DevNull); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	odd := [][]string{
		{""}, {"", ""}, {"-"}, {"--"}, {"--", "--"}, {"---"}, {"--="}, {"-=x"}, {"=", "x"}, {"\x00"}, {"\xff\xfe"}, {"--\x00"}, {"--json=maybe"},
		{"--config"}, {"--config="}, {"--config", "\x00"}, {"--config", "/dev/null"}, {"--config", "."}, {"--config", "-"}, {"--config", "env:"}, {"--config", "env:NO_SUCH_VARIABLE"},
		{"--admin", "http://[::1"}, {"--admin", "::"}, {"--admin", "http://127.0.0.1:1", "x"}, {"--dir", "\x00"}, {"--dir", "/dev/null"},
		{strings.Repeat("x", 1<<16)}, {"--" + strings.Repeat("x", 1<<16)}, {"%s%n", "%!d"}, {"--since", "-1h", "x"}, {"--limit", "99999999999999999999"}, {"../..", "-5"},
	}
	for _, name := range everyCommand(commands(), "") {
		for _, args := range odd {
			err := run(ctx, append(strings.Fields(name), args...), io.Discard, io.Discard)
			if err != nil && len(err.Error()) > 1<<17 {
				t.Errorf("%s %.40q: an error of %d bytes", name, args, len(err.Error()))
			}
		}
	}
}
