package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"eventserver/app"
	"eventserver/app/config"
)

func check(_ context.Context, args []string, stdout, stderr io.Writer) error {
	var path string
	if _, err := parse("check", "[flags]", args, 0, 0, func(fs *flag.FlagSet) {
		fs.StringVar(&path, "config", "", "configuration to check: "+configForms+"; without it, what runs without one")
	}); err != nil {
		return err
	}
	cfg, err := app.Load(path, app.Options{})
	if err != nil {
		return err
	}
	if err := app.WriteTopology(stdout, cfg); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, "the configuration is valid")
	return err
}

func transform(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var path, id string
	files, err := parse("transform", "FILE [flags]", args, 1, 1, func(fs *flag.FlagSet) {
		fs.StringVar(&path, "config", "", "configuration: "+configForms)
		fs.StringVar(&id, "destination", "", "id of the destination")
	})
	if err != nil {
		return err
	}
	if id == "" {
		return misuse("transform: give --destination ID")
	}
	if path == config.Stdin && files[0] == "-" {
		return misuse("transform: standard input is the configuration or the event, not both")
	}
	cfg, err := loadFor(path, "http.max_event_bytes", "http.max_batch_events", "schemas")
	if err != nil {
		return err
	}
	var body []byte
	if files[0] == "-" {
		body, err = io.ReadAll(os.Stdin)
	} else {
		body, err = os.ReadFile(files[0]) //nolint:gosec // the file that the user names
	}
	if err != nil {
		return err
	}
	return app.DryRun(ctx, stdout, cfg, app.Options{}, id, body)
}
