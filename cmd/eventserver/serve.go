package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"eventserver/app"
	"eventserver/app/config"
)

func serve(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var path string
	var prof profiles
	if _, err := parse("serve", "[flags]", args, 0, 0, func(fs *flag.FlagSet) {
		fs.StringVar(&path, "config", "", "configuration file; without it an embedded broker in ./data and one destination of kind log")
		prof.flags(fs)
	}); err != nil {
		return err
	}
	cfg, err := app.Load(path, app.Options{})
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // before anything is built: without it the signal ends the process
	defer signal.Stop(hup)
	o := app.Options{Stdout: stdout, Level: new(slog.LevelVar)}
	o.Logger = logger(cfg.Log, o.Level, stderr)
	if path != "" {
		o.Source = func() (*config.Config, error) { return app.Load(path, o) }
	}
	a, err := app.New(ctx, cfg, o)
	if err != nil {
		return err
	}
	defer reloadOn(ctx, hup, a)()
	if err := prof.start(); err != nil {
		return errors.Join(err, a.Close())
	}
	return errors.Join(a.Run(ctx), prof.stop())
}

// reloadOn reloads the configuration at each signal, until the server stops. It
// returns what waits for that.
func reloadOn(ctx context.Context, hup <-chan os.Signal, a *app.App) func() {
	ctx, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-a.Ready():
		case <-ctx.Done():
			return
		}
		for {
			select {
			case <-hup:
				_, _ = a.ReloadSource(ctx, "SIGHUP") // it has logged what came of it
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { end(); <-done }
}

// logger writes the server's own log, apart from what destinations print.
func logger(c config.Log, level *slog.LevelVar, w io.Writer) *slog.Logger {
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
	if _, err := parse("health", "[flags]", args, 0, 0, func(fs *flag.FlagSet) {
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
