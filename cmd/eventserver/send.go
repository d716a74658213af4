package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"eventserver/app"
	"eventserver/app/config"
)

func send(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var path, keyFile string
	var example, quiet bool
	var c app.SendConfig
	fs := flag.NewFlagSet("eventserver send", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&path, "config", "", "configuration file, for its http.addr, broker and schemas; without it, what runs without one")
	fs.StringVar(&c.URL, "url", "", "where the server listens (default http://127.0.0.1:8080, or the http.addr of --config)")
	fs.BoolVar(&c.Broker, "broker", false, "put the events straight on the broker of --config, or of the server that runs on ./data")
	fs.StringVar(&c.Type, "type", "", "type of events that have none; another one is an error")
	fs.StringVar(&c.Key, "key", "", "ordering key of events that have none")
	fs.StringVar(&c.ID, "id", "", "id of a single event that has none")
	fs.BoolVar(&example, "example", false, "send the examples of the schema of --type")
	fs.StringVar(&keyFile, "api-key-file", "", "file with the API key")
	fs.IntVar(&c.Batch, "batch", 100, "most events of one request")
	fs.IntVar(&c.Retries, "retries", 10, "how often a request answered 429 or 503 is sent again")
	fs.BoolVar(&quiet, "quiet", false, "print the number of events stored, not their ids")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usageError{err}
	}
	switch {
	case example && c.Type == "":
		return usageError{errors.New("send: --example needs --type")}
	case example && fs.NArg() > 0:
		return usageError{errors.New("send: give --example or a FILE, not both")}
	case !example && fs.NArg() != 1:
		return usageError{errors.New("send: give one FILE after the flags, - for standard input, or --example")}
	case c.Batch < 1 || c.Retries < 0:
		return usageError{errors.New("send: --batch is at least 1, --retries at least 0")}
	}
	cfg, err := app.Load(path, app.Options{})
	if err != nil {
		return err
	}
	if c.APIKey, err = apiKey(keyFile); err != nil {
		return err
	}
	in, err := sendInput(cfg, c.Type, example, fs.Arg(0))
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	if !quiet {
		c.Stored = func(ids []string) error {
			_, err := io.WriteString(stdout, strings.Join(ids, "\n")+"\n")
			return err
		}
	}
	stored, err := app.Send(ctx, cfg, app.Options{Logger: warnings(stderr)}, c, in)
	if quiet {
		_, printed := fmt.Fprintln(stdout, stored)
		err = errors.Join(err, printed)
	}
	return err
}

// sendInput is where the events come from.
func sendInput(cfg *config.Config, typ string, example bool, file string) (io.ReadCloser, error) {
	switch {
	case example:
		examples, err := app.Examples(cfg, typ)
		if err != nil {
			return nil, fmt.Errorf("--example: %w", err)
		}
		return io.NopCloser(bytes.NewReader(bytes.Join(examples, []byte("\n")))), nil
	case file == "-":
		return os.Stdin, nil
	}
	return os.Open(file)
}

// apiKey reads the key of a file; its text is in no error.
func apiKey(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--api-key-file: %w", err)
	}
	key := strings.TrimSpace(string(text))
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", fmt.Errorf("--api-key-file: %s does not hold one key: a line without spaces, in ASCII", file)
	}
	return key, nil
}
