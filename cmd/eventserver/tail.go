package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"

	"eventserver/app"
	"eventserver/router/plural"
)

func tail(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var path string
	var c app.TailConfig
	if _, err := parse("tail", "[flags]", args, 0, 0, func(fs *flag.FlagSet) {
		fs.StringVar(&path, "config", "", "configuration, for its broker: "+configForms+"; without it, the server that runs on ./data")
		fs.StringVar(&c.Type, "type", "", "types to show: exact, order.* or *")
		fs.StringVar(&c.Key, "key", "", "show the events of this ordering key alone")
		fs.StringVar(&c.Destination, "destination", "", "id of a destination: show what it is sent")
		fs.BoolVar(&c.Poison, "poison", false, "with --destination: show what it has given up, and why")
		fs.StringVar(&c.From, "from", "end", "where to begin: beginning, end, or how long ago, such as 10m")
		fs.IntVar(&c.Count, "count", 0, "end after so many events; 0: on Ctrl-C")
		fs.BoolVar(&c.JSON, "json", false, "one JSON object a line, with every field")
		fs.IntVar(&c.Width, "width", 200, "characters of a payload to show, unless --json; 0: all")
	}); err != nil {
		return err
	}
	cfg, err := loadFor(path, "broker")
	if err != nil {
		return err
	}
	c.Started = func(topic string, partitions int) {
		fmt.Fprintf(stderr, "following topic %s (%s) from: %s; Ctrl-C ends it\n", topic, plural.Count(partitions, "partition"), c.From)
	}
	return app.Tail(ctx, stdout, cfg, app.Options{Logger: warnings(stderr)}, c)
}

// warnings is the log of a command that talks to people.
func warnings(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
