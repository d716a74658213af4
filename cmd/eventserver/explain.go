package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"time"

	"eventserver/app"
	"eventserver/app/admin"
	"eventserver/app/config"
	"eventserver/router/explain"
)

// explainEvent tells where an event is, what it waits for and what became of it.
func explainEvent(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var a adminFlags
	var key, since, destination string
	var timeout time.Duration
	rest, err := parse("explain", "EVENT_ID [flags]", args, 1, 1, func(fs *flag.FlagSet) {
		a.flags(fs)
		fs.StringVar(&key, "key", "", "the event's ordering key, the user")
		fs.StringVar(&since, "since", "", "it was accepted then or later: 2026-07-01T12:00:00Z, or how long ago, such as 2h")
		fs.StringVar(&destination, "destination", "", "id of a destination: tell of this one alone")
		fs.DurationVar(&timeout, "timeout", time.Minute, "how long it may take")
	})
	if err != nil {
		return err
	}
	q := explain.Question{ID: rest[0], Key: key, Destination: destination}
	if q.Since, err = sinceTime(since, time.Now()); err != nil {
		return usageError{err}
	}
	t, err := a.target()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var answer *explain.Explanation
	if err := t.orElse(stderr,
		func(c *admin.Client) error {
			query := url.Values{}
			for name, value := range map[string]string{"key": q.Key, "destination": q.Destination} {
				if value != "" {
					query.Set(name, value)
				}
			}
			if !q.Since.IsZero() {
				query.Set("since", q.Since.UTC().Format(time.RFC3339Nano))
			}
			return c.Get(ctx, "/v1/events/"+url.PathEscape(q.ID), query, &answer)
		},
		onBroker(func(c *config.Config) (err error) {
			fmt.Fprintln(stderr, "reading the broker alone: attempts under way, breakers and pauses are known to a running server")
			answer, err = app.Explain(ctx, c, app.Options{Logger: warnings(stderr)}, q)
			return err
		}),
	); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("no answer within %s; narrow the search with --key and --since, or give --timeout: %w", timeout, err)
		}
		return err
	}
	if a.json {
		return printJSON(stdout, answer)
	}
	return explain.Text(stdout, answer)
}

// sinceTime reads a time, or how long before now; "" is the zero time.
func sinceTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("--since: %q is neither a time such as 2026-07-01T12:00:00Z nor a time span such as 2h", s)
}
