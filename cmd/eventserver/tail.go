package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"

	"eventserver/app"
	"eventserver/app/admin"
	"eventserver/app/config"
	"eventserver/router/plural"
)

func tail(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var a adminFlags
	var c app.TailConfig
	if _, err := parse("tail", "[flags]", args, 0, 0, func(fs *flag.FlagSet) {
		a.flags(fs)
		fs.Lookup("json").Usage = "one JSON object a line, with every field"
		fs.StringVar(&c.Type, "type", "", "types to show: exact, order.* or *")
		fs.StringVar(&c.Key, "key", "", "show the events of this ordering key alone")
		fs.StringVar(&c.Destination, "destination", "", "id of a destination: show what it is sent")
		fs.BoolVar(&c.Poison, "poison", false, "with --destination: show what it has given up, and why")
		fs.StringVar(&c.From, "from", "end", "where to begin: beginning, end, or how long ago, such as 10m")
		fs.IntVar(&c.Count, "count", 0, "end after so many events; 0: on Ctrl-C")
		fs.IntVar(&c.Width, "width", 200, "characters of a payload to show, unless --json; 0: all")
	}); err != nil {
		return err
	}
	c.JSON = a.json
	if err := c.Check(); err != nil {
		return err
	}
	t, err := a.loaded()
	if err != nil {
		return err
	}
	follows := func(topic string, partitions int) {
		fmt.Fprintf(stderr, "following topic %s (%s) from: %s; Ctrl-C ends it\n", topic, plural.Count(partitions, "partition"), c.From)
	}
	read := func(cfg *config.Config) error {
		if err := cfg.Need("broker"); err != nil {
			return err
		}
		return app.Tail(ctx, stdout, cfg, app.Options{Logger: warnings(stderr)}, c)
	}
	if t.Config != nil && !app.InProcess(t.Config) { // its topics are there without the server
		c.Started = follows
		return read(t.Config)
	}
	if err := a.reach(&t); err != nil {
		return err
	}
	return t.orElse(stderr,
		func(client *admin.Client) error {
			err := client.Tail(ctx, c.Question(), admin.TailReader{
				Started: func(s admin.TailStarted) { follows(s.Topic, s.Partitions) },
				Record:  func(line []byte) error { _, err := stdout.Write(append(line, '\n')); return err },
				Warn: func(text string) {
					warnings(stderr).Warn("cannot read; trying again", slog.String("error", text))
				},
			})
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return nil
			}
			return err
		},
		func(cfg *config.Config) error {
			c.Started = func(topic string, partitions int) {
				fmt.Fprintf(stderr, "showing what topic %s (%s) has from: %s; without a server nothing follows\n", topic, plural.Count(partitions, "partition"), c.From)
			}
			return read(cfg)
		})
}

// warnings is the log of a command that talks to people.
func warnings(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
