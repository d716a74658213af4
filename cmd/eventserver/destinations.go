package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"eventserver/app"
	"eventserver/app/admin"
	"eventserver/app/config"
	"eventserver/router/plural"
)

const destinationsPath = "/v1/destinations"

// stateUnknown is that of destinations of which no server was asked.
const stateUnknown = "unknown"

func destinationPath(id string, more string) string {
	return destinationsPath + "/" + url.PathEscape(id) + more
}

// view is what `destinations` shows.
type view struct {
	Destinations []admin.DestinationState `json:"destinations"`
	Removed      []admin.Leftover         `json:"removed,omitempty"`
	ReloadFailed *admin.ReloadFailure     `json:"reload_failed,omitempty"`
}

func showDestinations(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var a adminFlags
	var c healthCheck
	ids, err := parse("destinations", "[ID] [--check] [flags]", args, 0, 1, func(fs *flag.FlagSet) {
		a.flags(fs)
		c.flags(fs)
	})
	if err != nil {
		return err
	}
	t, err := a.target()
	if err != nil {
		return err
	}
	var v view
	if err := t.orElse(stderr,
		func(c *admin.Client) error { return c.Get(ctx, destinationsPath, nil, &v) },
		onBroker(func(c *config.Config) (err error) {
			v.Destinations, err = app.LookAtDestinations(ctx, c, app.Options{Logger: warnings(stderr)})
			return err
		}),
	); err != nil {
		return err
	}
	now := time.Now()
	if len(ids) == 0 {
		if a.json {
			err = printJSON(stdout, v)
		} else {
			err = showAll(stdout, v, now)
		}
		return errors.Join(err, c.err(v, now))
	}
	i := slices.IndexFunc(v.Destinations, func(d admin.DestinationState) bool { return d.ID == ids[0] })
	if i < 0 {
		var there []string
		for _, d := range v.Destinations {
			there = append(there, d.ID)
		}
		said := "there are none"
		if len(there) > 0 {
			said = "there are " + strings.Join(there, ", ")
		}
		return fmt.Errorf("there is no destination %q; %s; if it was removed, `%s` tells what it has left", ids[0], said, a.hint("forget", ids[0]))
	}
	d := v.Destinations[i]
	if d.State != stateUnknown { // a server was asked, and knows more of a single one
		if err := t.Client.Get(ctx, destinationPath(d.ID, ""), nil, &d); err != nil {
			return err
		}
	}
	if a.json {
		err = printJSON(stdout, d)
	} else {
		err = destinationDetail(stdout, d, now)
	}
	return errors.Join(err, c.err(view{Destinations: []admin.DestinationState{d}}, now))
}

// destinationTable has what is wrong in its last column, in words.
func destinationTable(w io.Writer, all []admin.DestinationState, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tSTATE\tLAG\tOLDEST\tBREAKER\tIN FLIGHT\tBLOCKED\tPOISON\tWHY")
	for _, d := range all {
		why := cmp.Or(d.Why, strings.Join(d.Problems, "; "), "-")
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%d/%d\t%d\t%s\t%s\n", d.ID, d.State, d.Lag, ago(d.Oldest, now), breakerWord(d), d.InFlight, d.Concurrency, d.BlockedKeys, poisonWord(d), why)
	}
	return t.Flush()
}

func breakerWord(d admin.DestinationState) string {
	switch {
	case d.State == stateUnknown:
		return "?"
	case d.Breaker.Open:
		return "open"
	default:
		return "closed"
	}
}

// poisonWord is how much the poison queue has.
func poisonWord(d admin.DestinationState) string {
	if d.Poison == nil {
		return "?"
	}
	return strconv.FormatInt(*d.Poison, 10)
}

// ago is an age that people read: the largest two units.
func ago(t *time.Time, now time.Time) string {
	if t == nil {
		return "-"
	}
	d := max(now.Sub(*t), 0)
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}

func destinationDetail(w io.Writer, d admin.DestinationState, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	line("destination", "%s (%s)", d.ID, d.Kind)
	line("state", "%s", d.State)
	if d.Why != "" {
		line("why", "%s", d.Why)
	}
	for _, p := range d.Problems {
		if p != d.Why {
			line("problem", "%s", p)
		}
	}
	if d.Oldest == nil {
		line("lag", "%s", plural.Count(d.Lag, "event"))
	} else {
		line("lag", "%s, the oldest accepted %s ago", plural.Count(d.Lag, "event"), ago(d.Oldest, now))
	}
	for _, g := range d.Groups {
		line("", "%s in topic %s for group %s", plural.Count(g.Messages, "record"), g.Topic, g.Group)
	}
	if d.Waits != "" {
		line("", "the events that are not transformed yet wait: enough deliveries are stored")
	}
	if d.State != stateUnknown {
		line("breaker", "%s", breakerWord(d))
		line("in flight", "%d of at most %s", d.InFlight, plural.Count(d.Concurrency, "attempt"))
		line("buffered", "%s", plural.Count(d.Buffered, "message"))
		if d.BlockedSince == nil {
			line("blocked", "%s", plural.Count(d.BlockedKeys, "user"))
		} else {
			line("blocked", "%s, the longest for %s", plural.Count(d.BlockedKeys, "user"), ago(d.BlockedSince, now))
		}
	}
	line("poison", "%s waiting for redrive or discard", poisonWord(d))
	if err := t.Flush(); err != nil || len(d.Stuck) == 0 {
		return err
	}
	return stuckTable(w, d.Stuck, now)
}

// stuckTable has the keys that wait longest, each with the event that holds it up.
func stuckTable(w io.Writer, stuck []admin.StuckKey, now time.Time) error {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tFOR\tEVENT\tWAITS FOR\tATTEMPTS\tNEXT\tBEHIND IT\tLAST ANSWER")
	for _, k := range stuck {
		next := "-"
		if k.Next != nil {
			next = "now"
			if wait := k.Next.Sub(now); wait > 0 {
				next = "in " + wait.Round(100*time.Millisecond).String()
			}
		}
		last := "-"
		if k.Last != "" {
			last = phrase(k.Last, 200)
		}
		attempts := fmt.Sprintf("%d of %d", k.Attempts, k.Limit)
		if k.Counted < k.Attempts { // of a destination that is down
			attempts = fmt.Sprintf("%d, %d of %d count", k.Attempts, k.Counted, k.Limit)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", word(k.Key), ago(k.Since, now), word(k.EventID), k.Reason, attempts, next, k.Waiting, last)
	}
	return t.Flush()
}

// client is the server that pause, resume, replay and reload need.
func (a *adminFlags) client() (*admin.Client, error) {
	t, err := a.target()
	if err != nil {
		return nil, err
	}
	if t.Client == nil {
		return nil, errors.New("the admin API is off in --config; this needs a running server that has it")
	}
	return t.Client, nil
}

func pauseDestination(ctx context.Context, args []string, stdout, _ io.Writer) error {
	return pauseOrResume(ctx, "pause", args, stdout)
}

func resumeDestination(ctx context.Context, args []string, stdout, _ io.Writer) error {
	return pauseOrResume(ctx, "resume", args, stdout)
}

func pauseOrResume(ctx context.Context, what string, args []string, stdout io.Writer) error {
	var a adminFlags
	var order admin.Steer
	usage := "ID [--accept-failures] [flags]"
	if what == "pause" {
		usage = "ID [--why TEXT] [flags]"
	}
	ids, err := parse(what, usage, args, 1, 1, func(fs *flag.FlagSet) {
		a.flags(fs)
		if what == "pause" {
			fs.StringVar(&order.Why, "why", "", "for those who see the pause")
		} else {
			fs.BoolVar(&order.AcceptFailures, "accept-failures", false, "of a held destination: what it refuses goes to the poison queue, until it takes an event")
		}
		fs.BoolVar(&order.Absent, "absent", false, "also when the server has no such destination: another program on the same broker may")
	})
	if err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	var answer admin.SteerAnswer
	if err := c.Post(ctx, destinationPath(ids[0], "/"+what), order, &answer); err != nil {
		return err
	}
	switch {
	case a.json:
		return printJSON(stdout, answer)
	case what == "pause":
		_, err = fmt.Fprintf(stdout, "%s is paused: its events are kept; `%s` ends that\n", answer.ID, a.hint("resume", answer.ID))
	case len(answer.Ended) == 0:
		_, err = fmt.Fprintf(stdout, "%s was not paused or held\n", answer.ID)
	default:
		_, err = fmt.Fprintf(stdout, "%s goes on (ended: %s)\n", answer.ID, strings.Join(answer.Ended, ", "))
	}
	return err
}

func replayDestination(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var a adminFlags
	var since string
	var dry, yes bool
	ids, err := parse("replay", "ID --since TIME [--dry-run] [--yes] [flags]", args, 1, 1, func(fs *flag.FlagSet) {
		a.flags(fs)
		fs.StringVar(&since, "since", "", "from when on: 2026-11-25T10:00:00Z, or how long ago, such as 24h")
		fs.BoolVar(&dry, "dry-run", false, "count, and change nothing")
		fs.BoolVar(&yes, "yes", false, "do it; without it, it is a dry run that ends with an error")
	})
	if err != nil {
		return err
	}
	at, err := sinceOf(since, time.Now())
	if err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	path := destinationPath(ids[0], "/replay")
	var answer admin.ReplayAnswer
	if err := c.Post(ctx, path, admin.ReplayOrder{Since: at, DryRun: true}, &answer); err != nil {
		return err
	}
	if !a.json {
		tellReplay(stdout, answer)
	}
	if yes && !dry && answer.Events > 0 {
		if err := c.Post(ctx, path, admin.ReplayOrder{Since: at, Confirm: &answer.Events}, &answer); err != nil {
			return err
		}
		if !a.json {
			_, err = fmt.Fprintf(stdout, "%s was set back by %s and goes on; `%s` shows its lag\n", answer.ID, plural.Count(answer.Events, "event"), a.hint("destinations", answer.ID))
			return err
		}
	}
	if a.json {
		if err := printJSON(stdout, answer); err != nil {
			return err
		}
	}
	if !dry && !yes {
		return errors.New("nothing was changed; add --yes to do it")
	}
	return nil
}

func tellReplay(w io.Writer, a admin.ReplayAnswer) {
	fmt.Fprintf(w, "replay of %s since %s: %s transformed again; its types and filter apply\n", a.ID, a.Since.Format(time.RFC3339), plural.Count(a.Events, "event is", "events are"))
	for _, p := range a.Partitions {
		fmt.Fprintf(w, "  partition %d: from offset %d (%s)\n", p.Partition, p.From, plural.Count(p.Events, "event"))
	}
	if a.Gone > 0 {
		kept := "what is there now"
		if a.OldestKept != nil {
			kept = a.OldestKept.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "  at most %s of before %s cannot be sent again: their records are deleted\n", plural.Count(a.Gone, "event"), kept)
	}
}

// sinceOf reads a time, or how long ago.
func sinceOf(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, misuse("replay: give --since TIME")
	}
	if at, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return at, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, misuse("--since: %s is neither a time such as 2026-11-25T10:00:00Z nor a span such as 24h", strconv.Quote(s))
}

func reloadConfig(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var a adminFlags
	if _, err := parse("reload", "[flags]", args, 0, 0, a.flags); err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	var r admin.ReloadAnswer
	if err := c.Post(ctx, "/v1/reload", nil, &r); err != nil {
		return err
	}
	if a.json {
		return printJSON(stdout, r)
	}
	for _, l := range []struct {
		what string
		ids  []string
	}{{"added", r.Added}, {"changed", r.Changed}, {"removed", r.Removed}} {
		if len(l.ids) > 0 {
			fmt.Fprintf(stdout, "%s: %s\n", l.what, strings.Join(l.ids, ", "))
		}
	}
	for _, id := range r.Removed {
		if n := r.Undelivered[id]; n > 0 {
			fmt.Fprintf(stdout, "%s was not sent %s, which stay for it; `%s` counts them and deletes them with --yes\n", id, plural.Count(n, "event"), a.hint("forget", id))
		}
	}
	if r.LogLevel != "" {
		fmt.Fprintf(stdout, "log.level: %s\n", r.LogLevel)
	}
	if r.Schemas {
		fmt.Fprintln(stdout, "schemas: changed")
	}
	_, err = fmt.Fprintf(stdout, "%s not touched\n", plural.Count(len(r.Unchanged), "destination was", "destinations were"))
	return err
}
