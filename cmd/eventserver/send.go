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
	"eventserver/app/config/strict"
	"eventserver/app/schema"
	sending "eventserver/cmd/eventserver/internal/send"
)

func send(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var path, keyFile string
	var example, quiet, asJSON bool
	var c sending.Config
	files, err := parse("send", "FILE [flags], or --example --type TYPE", args, 0, 1, func(fs *flag.FlagSet) {
		fs.StringVar(&path, "config", "", "configuration ("+configForms+"), for its http.addr, broker and schemas; without it, what runs without one")
		fs.StringVar(&c.URL, "url", "", "where the server listens (default http://127.0.0.1:8080, or the http.addr of --config)")
		fs.BoolVar(&c.Broker, "broker", false, "put the events straight on the Kafka cluster of --config")
		fs.StringVar(&c.Type, "type", "", "type of events that have none; another one is an error")
		fs.StringVar(&c.Key, "key", "", "ordering key of events that have none")
		fs.StringVar(&c.ID, "id", "", "id of a single event that has none")
		fs.BoolVar(&example, "example", false, "send the examples of the schema of --type")
		fs.StringVar(&keyFile, "api-key-file", "", "file with the API key (default: the key in "+keyVariable+")")
		fs.IntVar(&c.Batch, "batch", 100, "most events of one request")
		fs.IntVar(&c.Retries, "retries", 10, "how often a request answered 429 or 503 is sent again")
		jsonFlag(fs, &asJSON)
		fs.BoolVar(&quiet, "quiet", false, "print the number of events stored, not their ids")
	})
	if err != nil {
		return err
	}
	switch {
	case example && c.Type == "":
		return misuse("send: --example needs --type")
	case example && len(files) > 0:
		return misuse("send: give --example or a FILE, not both")
	case !example && len(files) != 1:
		return misuse("send: give one FILE, - for standard input, or --example")
	case c.Batch < 1 || c.Retries < 0:
		return misuse("send: --batch is at least 1, --retries at least 0")
	}
	var needs []string
	switch {
	case c.Broker:
		needs = []string{"broker", "schemas"}
	case c.URL == "":
		needs = []string{"http.addr"}
	}
	if example {
		needs = append(needs, "schemas")
	} else if path == strict.Stdin && files[0] == "-" {
		return misuse("send: standard input is the configuration or the events, not both")
	}
	cfg, err := loadFor(path, append(needs, "http.max_event_bytes")...)
	if err != nil {
		return err
	}
	if !c.Broker || keyFile != "" { // the broker asks for none, and the environment may have one
		if c.APIKey, err = apiKey(keyFile); err != nil {
			return err
		}
	}
	in, err := sendInput(cfg, c.Type, example, files)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	answer := sendAnswer{IDs: []string{}}
	switch {
	case quiet:
	case asJSON:
		c.Stored = func(ids []string) error {
			answer.IDs = append(answer.IDs, ids...)
			return nil
		}
	default:
		c.Stored = func(ids []string) error {
			_, err := io.WriteString(stdout, strings.Join(ids, "\n")+"\n")
			return err
		}
	}
	stored, err := sending.Run(ctx, cfg, app.Options{Logger: warnings(stderr)}, c, in)
	switch {
	case asJSON: // also what was stored before a fault
		answer.Stored = stored
		err = errors.Join(err, printJSON(stdout, answer))
	case quiet:
		_, printed := fmt.Fprintln(stdout, stored)
		err = errors.Join(err, printed)
	}
	return err
}

// sendAnswer is what send --json prints.
type sendAnswer struct {
	Stored int      `json:"stored"`
	IDs    []string `json:"ids"` // in order; none with --quiet
}

// sendInput is where the events come from.
func sendInput(cfg *config.Config, typ string, example bool, files []string) (io.ReadCloser, error) {
	switch {
	case example:
		examples, err := examplesOf(cfg, typ)
		if err != nil {
			return nil, fmt.Errorf("--example: %w", err)
		}
		return io.NopCloser(bytes.NewReader(bytes.Join(examples, []byte("\n")))), nil
	case files[0] == "-":
		return os.Stdin, nil
	}
	return os.Open(files[0]) //nolint:gosec // the file that the user names
}

// examplesOf returns the examples of a type's schema, from the directory that the
// configuration names, or else from defaultSchemas.
func examplesOf(cfg *config.Config, typ string) ([][]byte, error) {
	dir := defaultSchemas
	if cfg.Schemas != nil {
		dir = cfg.Schemas.Dir
	}
	registry, err := schema.Load(dir)
	if err != nil {
		return nil, err
	}
	s, ok := registry.Lookup(typ)
	if !ok {
		var known []string
		for _, s := range registry.Schemas() {
			known = append(known, s.Type)
		}
		return nil, fmt.Errorf("there is no schema of type %q in %s, which has %s", typ, dir, strings.Join(known, ", "))
	}
	return s.Examples, nil
}

// keyVariable holds the API key of send, where there is no --api-key-file.
const keyVariable = "EVENTSERVER_API_KEY"

// apiKey is the key of the file, or of the environment; its text is in no error.
func apiKey(file string) (string, error) {
	from, text := keyVariable, os.Getenv(keyVariable)
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("--api-key-file: %w", err)
		}
		from, text = "--api-key-file: "+file, string(data)
	} else if text == "" {
		return "", nil
	}
	key := strings.TrimSpace(text)
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", fmt.Errorf("%s does not hold one key: a line without spaces, in ASCII", from)
	}
	return key, nil
}
