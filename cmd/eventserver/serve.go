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
	"strings"
	"syscall"
	"time"

	"eventserver/app"
	"eventserver/cmd/eventserver/internal/hangup"
	"eventserver/destinations/cause"
)

// serve runs the server. Its log has a writer of its own from the first line on,
// and SIGPIPE is ignored: neither stream of the process can end it or hold it up.
func serve(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	signal.Ignore(syscall.SIGPIPE)
	defer ownFiles()()
	log, err := newServerLog(stderr)
	if err != nil {
		return err
	}
	err = runServer(ctx, args, stdout, log)
	if help, ok := err.(helpText); ok { //nolint:errorlint // parse makes it and nobody wraps it
		log.end(nil)
		return help
	}
	log.end(err)
	if err != nil {
		return reported{err}
	}
	return nil
}

func runServer(ctx context.Context, args []string, stdout io.Writer, log *serverLog) error {
	var path string
	var prof profiles
	if _, err := parse("serve", "[flags]", args, 0, 0, func(fs *flag.FlagSet) {
		fs.StringVar(&path, "config", "", "configuration: "+configForms+"; without it an embedded broker in ./data and one destination of kind log")
		prof.flags(fs)
	}); err != nil {
		return err
	}
	a, err := interruptibly(ctx, func() (*app.App, error) { return build(ctx, path, stdout, log) })
	if a == nil {
		return err
	}
	defer reloadOn(ctx, hangup.Signals(), a)()
	if err := prof.start(); err != nil {
		return errors.Join(err, a.Close())
	}
	return errors.Join(a.Run(ctx), prof.stop())
}

// build reads the configuration and opens all that it names.
func build(ctx context.Context, path string, stdout io.Writer, log *serverLog) (*app.App, error) {
	source := app.FileSource(path, app.Options{}) // looks at the path before a pipe is read to its end
	cfg, err := app.Load(path, app.Options{})
	if err != nil {
		return nil, err
	}
	o := app.Options{Stdout: stdout, Level: new(slog.LevelVar), LogDropped: log.Dropped}
	o.Logger = log.logger(cfg.Log, o.Level)
	limitMemory(cfg, containerLimit, o.Logger)
	if path != "" {
		o.Source = source
	}
	return app.New(ctx, cfg, o)
}

// startGrace is how long a start that was interrupted may take to end by itself.
const startGrace = 2 * time.Second

// interruptibly returns what start does, or nothing when ctx ends first: then
// whatever start has open goes with the process, as after kill -9.
func interruptibly(ctx context.Context, start func() (*app.App, error)) (*app.App, error) {
	type result struct {
		app *app.App
		err error
	}
	done := make(chan result, 1)
	go func() {
		a, err := start()
		done <- result{a, err}
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), startGrace)
		defer cancel()
		select {
		case r = <-done:
		case <-grace.Done():
			return nil, nil
		}
	}
	if ctx.Err() != nil && errors.Is(r.err, context.Canceled) {
		return nil, nil
	}
	return r.app, r.err
}

// reloadOn reloads the configuration at each signal, until the server stops. A
// signal during the start counts once the server is ready. It returns what waits
// for the end of that.
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

// health is for containers, whose image has no shell.
func health(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var url, path string
	var asJSON bool
	if _, err := parse("health", "[flags]", args, 0, 0, func(fs *flag.FlagSet) {
		jsonFlag(fs, &asJSON)
		fs.StringVar(&url, "url", "", "what to ask (default: /readyz at the http.addr of --config, or at 127.0.0.1:8080)")
		fs.StringVar(&path, "config", "", "configuration of the server: "+configForms)
	}); err != nil {
		return err
	}
	if url == "" {
		cfg, err := loadFor(path, "http.addr")
		if err != nil {
			return err
		}
		if url, err = localURL("http.addr", cfg.HTTP.Addr, "--url"); err != nil {
			return err
		}
		url += "/readyz"
	}
	a, err := askHealth(ctx, url)
	if asJSON {
		return errors.Join(printJSON(stdout, a), err)
	}
	if err == nil {
		_, err = io.WriteString(stdout, a.Answer)
	}
	return err
}

// healthAnswer is what health --json prints.
type healthAnswer struct {
	URL    string `json:"url"`
	Ready  bool   `json:"ready"`
	Status int    `json:"status"` // 0: no answer
	Answer string `json:"answer"`
}

// healthTimeout is how long health waits for an answer.
const healthTimeout = 5 * time.Second

// askHealth asks url. The error says why the server is not ready.
func askHealth(ctx context.Context, url string) (healthAnswer, error) {
	a := healthAnswer{URL: url}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil || req.URL.Host == "" {
		return a, errors.New("--url: is not a URL; write one such as http://127.0.0.1:8080/readyz")
	}
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		defer func() { _ = resp.Body.Close() }()
		var body []byte
		body, err = io.ReadAll(io.LimitReader(resp.Body, 4096))
		a.Status, a.Answer = resp.StatusCode, string(body)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return a, fmt.Errorf("%s gave no answer within %s", url, healthTimeout)
	case err != nil:
		return a, fmt.Errorf("no server answers at %s: %w", url, cause.Of(err))
	case a.Status != http.StatusOK:
		return a, fmt.Errorf("%s answered %d: %s", url, a.Status, strings.TrimSpace(a.Answer))
	}
	a.Ready = true
	return a, nil
}
