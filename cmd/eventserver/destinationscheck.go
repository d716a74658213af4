package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"eventserver/app/admin"
	"eventserver/router/plural"
)

// healthCheck makes `destinations` end with 1 when something is wrong. Its limits are
// those of the alerts.
type healthCheck struct {
	on     bool
	maxLag int64
	maxAge time.Duration
}

func (c *healthCheck) flags(fs *flag.FlagSet) {
	fs.BoolVar(&c.on, "check", false, "exit code 1 when something is wrong, and say what")
	fs.Int64Var(&c.maxLag, "max-lag", 1000, "with --check: events that may wait")
	fs.DurationVar(&c.maxAge, "max-age", 15*time.Minute, "with --check: how old the oldest of them may be")
}

// err joins all that is wrong; nil: nothing.
func (c healthCheck) err(v view, now time.Time) error {
	if !c.on {
		return nil
	}
	var wrong []error
	for _, d := range v.Destinations {
		add := func(format string, args ...any) {
			wrong = append(wrong, fmt.Errorf(d.ID+": "+format, args...))
		}
		if d.State == stateUnknown {
			add("%s; only its lag is known", d.Why)
		}
		for _, p := range d.Problems {
			add("%s", p)
		}
		if d.Lag > c.maxLag {
			add("%s, more than %d", plural.Count(d.Lag, "event waits", "events wait"), c.maxLag)
		}
		if d.Oldest != nil && now.Sub(*d.Oldest) > c.maxAge {
			add("the oldest was accepted %s ago, more than %s", ago(d.Oldest, now), c.maxAge)
		}
	}
	if f := v.ReloadFailed; f != nil {
		wrong = append(wrong, errors.New("the last reload of the configuration failed"))
	}
	return errors.Join(wrong...)
}

// showAll is the table, and what is wrong with the server itself.
func showAll(w io.Writer, v view, now time.Time) error {
	if err := destinationTable(w, v.Destinations, now); err != nil {
		return err
	}
	for i, l := range v.Removed {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s is not in the configuration and still holds %s that it was not sent, and %s in its poison queue\n", l.ID,
			plural.Count(l.Undelivered, "event"), plural.Count(l.Poison, "item"))
	}
	if v.ReloadFailed == nil {
		return nil
	}
	return reloadFailure(w, *v.ReloadFailed, now)
}

func reloadFailure(w io.Writer, f admin.ReloadFailure, now time.Time) error {
	what := "nothing of the file is in force that was not before"
	if f.Partly {
		what = "some of the changes are in force"
	}
	_, err := fmt.Fprintf(w, "\nthe reload of the configuration by %s failed %s ago; %s:\n%s\n", f.By, ago(&f.At, now), what, f.Error)
	return err
}
