package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"eventserver/app"
	"eventserver/app/config"
)

func serve(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var path string
	var prof profiles
	if _, err := flags("serve", args, stderr, 0, func(fs *flag.FlagSet) {
		fs.StringVar(&path, "config", "", "configuration file; without it an embedded broker in ./data and one destination of kind log")
		prof.flags(fs)
	}); err != nil {
		return err
	}
	cfg, err := app.Load(path, app.Options{})
	if err != nil {
		return err
	}
	a, err := app.New(ctx, cfg, app.Options{Stdout: stdout, Logger: logger(cfg.Log, stderr)})
	if err != nil {
		return err
	}
	if err := prof.start(); err != nil {
		return errors.Join(err, a.Close())
	}
	return errors.Join(a.Run(ctx), prof.stop())
}

// logger writes the server's own log, apart from what destinations print.
func logger(c config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // the configuration was checked
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// health is for containers, whose image has no shell.
func health(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var url string
	if _, err := flags("health", args, stderr, 0, func(fs *flag.FlagSet) {
		fs.StringVar(&url, "url", "http://127.0.0.1:8080/readyz", "what to ask")
	}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d: %s", url, resp.StatusCode, body)
	}
	_, err = fmt.Fprintf(stdout, "%s", body)
	return err
}

func version(_ context.Context, args []string, stdout, stderr io.Writer) error {
	if _, err := flags("version", args, stderr, 0, func(*flag.FlagSet) {}); err != nil {
		return err
	}
	_, err := fmt.Fprintln(stdout, "eventserver", app.Version())
	return err
}
