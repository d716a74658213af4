package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"eventserver/app"
	"eventserver/app/admin"
	"eventserver/app/config"
	versions "eventserver/app/version"
)

// tokenVariable holds the token of commands, which a list of processes does not show.
const tokenVariable = "EVENTSERVER_ADMIN_TOKEN"

// adminVariable holds the URL of the admin API, where there is no --admin.
const adminVariable = "EVENTSERVER_ADMIN"

// adminFlags are the flags of the commands that ask a running server.
type adminFlags struct {
	url, token, path string
	json             bool
}

func (a *adminFlags) flags(fs *flag.FlagSet) {
	fs.StringVar(&a.url, "admin", "", "URL of the admin API of a running server (default: "+adminVariable+", then the admin.addr of --config, then "+admin.DefaultURL+")")
	fs.StringVar(&a.token, "token", "", "token of the admin API; better in "+tokenVariable+", which a list of processes does not show")
	fs.StringVar(&a.path, "config", "", "configuration of the server, instead of --admin: "+configForms)
	jsonFlag(fs, &a.json)
}

// hint is a command to run next: with the flags that say where, for a shell. The
// token is not repeated.
func (a *adminFlags) hint(command string, operands ...string) string {
	var where []string
	if a.url != "" {
		where = append(where, "--admin", a.url)
	}
	if a.path != "" {
		where = append(where, "--config", a.path)
	}
	return shellLine("eventserver "+command, append(operands, where...)...)
}

// shellLine is a command with its arguments, quoted where a shell needs it.
func shellLine(command string, args ...string) string {
	for _, arg := range args {
		if arg == "" || strings.Trim(arg, shellSafe) != "" {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		command += " " + arg
	}
	return command
}

// shellSafe are the characters that mean nothing to a shell.
const shellSafe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,="

// target is where a command finds what it asks for.
type target struct {
	Client *admin.Client  // nil where the file of --config has no admin API
	Config *config.Config // of --config; nil without
}

// target resolves the flags. Nothing is asked yet.
func (a *adminFlags) target() (target, error) {
	t, err := a.loaded()
	if err != nil {
		return t, err
	}
	return t, a.reach(&t)
}

// loaded reads the configuration, where there is one.
func (a *adminFlags) loaded() (t target, err error) {
	if a.url != "" && a.path != "" {
		return t, misuse("give --admin or --config, not both")
	}
	if a.path != "" {
		t.Config, err = app.LoadPartly(a.path, app.Options{})
	}
	return t, err
}

// reach finds the server.
func (a *adminFlags) reach(t *target) (err error) {
	url := cmp.Or(a.url, os.Getenv(adminVariable))
	if t.Config != nil && url == "" {
		if err := t.Config.Need("http.addr", "admin.addr"); err != nil {
			return err
		}
		if url, err = adminURL(t.Config.Admin.Addr); err != nil || url == "" {
			return err
		}
	}
	t.Client = &admin.Client{BaseURL: cmp.Or(url, admin.DefaultURL), Token: cmp.Or(a.token, os.Getenv(tokenVariable)), Agent: versions.Get().Product()}
	return nil
}

// loadFor reads a configuration for a command that needs some of its values.
func loadFor(path string, needs ...string) (*config.Config, error) {
	cfg, err := app.LoadPartly(path, app.Options{})
	if err != nil {
		return nil, err
	}
	return cfg, cfg.Need(needs...)
}

// adminURL is where this machine reaches addr, an admin.addr; "" for off.
func adminURL(addr string) (string, error) {
	if addr == config.AdminOff {
		return "", nil
	}
	return localURL("admin.addr", addr, "--admin")
}

// localURL is where this machine reaches addr, the value of key. The flag can
// say it instead.
func localURL(key, addr, flag string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	switch {
	case err != nil || port == "0":
		return "", fmt.Errorf("%s: %q names no port to ask; give %s with the address in the server's log", key, addr, flag)
	case host == "" || host == "0.0.0.0":
		host = "127.0.0.1"
	case host == "::":
		host = "::1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

// orElse asks the server by f. Where there is none to ask and --config names the
// file, it says so and does without.
func (t target) orElse(stderr io.Writer, f func(*admin.Client) error, without func(*config.Config) error) error {
	if t.Client == nil {
		fmt.Fprintln(stderr, "the admin API is off in --config; going by the file")
		return without(t.Config)
	}
	err := f(t.Client)
	if errors.Is(err, admin.ErrNoServer) && t.Config != nil {
		fmt.Fprintf(stderr, "%v at %s; going by the file\n", admin.ErrNoServer, t.Client.BaseURL)
		return without(t.Config)
	}
	return err
}

// onBroker is a without of orElse that works on the broker and the destinations
// of the file.
func onBroker(f func(*config.Config) error) func(*config.Config) error {
	return func(c *config.Config) error {
		if err := c.Need("broker", "ordering", "schemas", "destinations[].id", "destinations[].types", "destinations[].filter", "destinations[].transform", "destinations[].schema"); err != nil {
			return err
		}
		return f(c)
	}
}

func jsonFlag(fs *flag.FlagSet, on *bool) {
	fs.BoolVar(on, "json", false, "print JSON; docs/commands.md has its form")
}

// configForms says what --config takes.
const configForms = "a file, - for standard input, or env:NAME for the YAML in a variable"

// printJSON is what --json prints.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// showConfig prints the configuration that a running server goes by.
func showConfig(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var a adminFlags
	if _, err := parse("config", "[flags]", args, 0, 0, a.flags); err != nil {
		return err
	}
	t, err := a.target()
	if err != nil {
		return err
	}
	var answer admin.ConfigAnswer
	if err := t.orElse(stderr,
		func(c *admin.Client) error { return c.Get(ctx, "/v1/config", nil, &answer) },
		func(c *config.Config) (err error) { answer, err = admin.AnswerOf(c); return err },
	); err != nil {
		return err
	}
	if a.json {
		return printJSON(stdout, answer.Config)
	}
	_, err = io.WriteString(stdout, answer.YAML)
	return err
}
