package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"time"

	"eventserver/cmd/eventserver/internal/demo"
)

func demoCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg := demo.Config{Out: stdout, Logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	if _, err := parse("demo", "[flags]", args, 0, 0, func(fs *flag.FlagSet) {
		fs.IntVar(&cfg.Users, "users", 20, "how many users post")
		fs.IntVar(&cfg.Events, "events", 50, "how many events each posts")
		fs.DurationVar(&cfg.Down, "down", 3*time.Second, "how long one destination is down")
	}); err != nil {
		return err
	}
	v, err := demo.Run(ctx, cfg)
	if _, werr := fmt.Fprintln(stdout, "verdict:", v); werr != nil {
		return errors.Join(err, werr)
	}
	if err == nil && !v.OK() {
		err = errors.New("a promise was broken")
	}
	return err
}
