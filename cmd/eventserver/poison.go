package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"time"

	"eventserver/app"
	"eventserver/app/admin"
	"eventserver/app/config"
	"eventserver/router/plural"
	"eventserver/router/poison"
)

// poisonQueues are those of a running server, or of a broker.
type poisonQueues interface {
	admin.Poison
	admin.PoisonRuns
}

// poisonFlags are those of every poison command.
type poisonFlags struct {
	adminFlags
	filter poison.Filter
	set    *flag.FlagSet
}

func (p *poisonFlags) flags(fs *flag.FlagSet) {
	p.adminFlags.flags(fs)
	p.set = fs
	f := &p.filter
	fs.StringVar(&f.Destination, "destination", "", "id of a destination; without it, every one that is configured")
	fs.StringVar(&f.Class, "class", "", "pipeline (it never became a delivery) or receiver (it was not taken)")
	fs.StringVar(&f.Reason, "reason", "", "undecodable, transform, filter, schema; permanent, attempts, age")
	fs.StringVar(&f.Type, "type", "", "types of events: exact, order.* or *")
	fs.StringVar(&f.Key, "key", "", "ordering key: the user")
	fs.StringVar(&f.EventID, "event", "", "id of one event")
	fs.StringVar(&f.Position, "position", "", "partition:offset of one record, with --destination")
	fs.StringVar(&f.Since, "since", "", "given up then or later: a time such as 2026-01-02T15:04:05Z, or how long ago, such as 90m")
	fs.StringVar(&f.Until, "until", "", "given up before then")
}

// on finds the poison queues: those of the server that is asked, or of the broker
// in --config when none answers.
func (p *poisonFlags) on(ctx context.Context, stderr io.Writer, use app.PoisonUse, f func(poisonQueues) error) error {
	t, err := p.target()
	if err != nil {
		return err
	}
	return t.orElse(stderr,
		func(c *admin.Client) error { return f(admin.PoisonClient{Client: c}) },
		onBroker(func(c *config.Config) error {
			q, err := app.OpenPoison(ctx, c, app.Options{Logger: warnings(stderr)}, use)
			if err != nil {
				return err
			}
			return errors.Join(f(q), q.Close())
		}))
}

func poisonList(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var p poisonFlags
	var q poison.Query
	if _, err := parse("poison list", "[flags]", args, 0, 0, func(fs *flag.FlagSet) {
		p.flags(fs)
		fs.IntVar(&q.Limit, "limit", 100, "most items to show, 1 to 1000")
		fs.StringVar(&q.After, "after", "", "go on after a list that had more")
	}); err != nil {
		return err
	}
	if q.Limit < 1 || q.Limit > 1000 {
		return misuse("--limit: 1 to 1000; --after goes on")
	}
	q.Filter = p.filter
	var page poison.Page
	if err := p.on(ctx, stderr, app.PoisonLook, func(pq poisonQueues) (err error) { page, err = pq.List(ctx, q); return err }); err != nil {
		return err
	}
	if p.json {
		return printJSON(stdout, page)
	}
	if len(page.Items) == 0 {
		_, err := fmt.Fprintln(stdout, "nothing in the poison queue matches")
		return err
	}
	if err := poisonTable(stdout, page.Items, time.Now()); err != nil {
		return err
	}
	if page.Next != "" {
		fmt.Fprintf(stderr, "there are more: %s\n", shellLine("eventserver poison list", append(given(p.set, "after", "token"), "--after", page.Next)...))
	}
	return nil
}

func poisonCounts(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var p poisonFlags
	var check bool
	if _, err := parse("poison counts", "[flags]", args, 0, 0, func(fs *flag.FlagSet) {
		p.flags(fs)
		fs.BoolVar(&check, "check", false, "exit code 1 when there is any")
	}); err != nil {
		return err
	}
	var c poison.Counts
	if err := p.on(ctx, stderr, app.PoisonLook, func(pq poisonQueues) (err error) { c, err = pq.Counts(ctx, p.filter); return err }); err != nil {
		return err
	}
	var err error
	if p.json {
		err = printJSON(stdout, c)
	} else {
		err = poisonCountTable(stdout, c, time.Now())
	}
	if check && c.Count > 0 {
		err = errors.Join(err, fmt.Errorf("%s in the poison queue", plural.Count(c.Count, "delivery is", "deliveries are")))
	}
	return err
}

func poisonShow(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var a adminFlags
	var destination string
	var payload bool
	ids, err := parse("poison show", "EVENT_ID|PARTITION:OFFSET [flags]", args, 1, 1, func(fs *flag.FlagSet) {
		a.flags(fs)
		fs.StringVar(&destination, "destination", "", "id of a destination; without it, every one that is configured")
		fs.BoolVar(&payload, "payload", false, "with the payload, its headers and the event's context; needs role write")
	})
	if err != nil {
		return err
	}
	p := poisonFlags{adminFlags: a}
	var found poison.Found
	if err := p.on(ctx, stderr, app.PoisonLook, func(pq poisonQueues) (err error) {
		found, err = pq.Show(ctx, destination, ids[0], payload)
		return err
	}); err != nil {
		return err
	}
	if a.json {
		return printJSON(stdout, found)
	}
	return poisonRecords(stdout, found, time.Now())
}

func poisonRedrive(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	order := poison.Order{Action: "redrive", Rate: new(float64), MaxRedrives: new(int)}
	var p poisonFlags
	if _, err := parse("poison redrive", "[flags]", args, 0, 0, func(fs *flag.FlagSet) {
		p.flags(fs)
		orderFlags(fs, &order)
		fs.Float64Var(order.Rate, "rate", 100, "send at most so many a second; 0: as many as the broker takes")
		fs.IntVar(order.MaxRedrives, "max-redrives", 3, "refuse what was redriven so often before")
		fs.BoolVar(&order.Force, "force", false, "redrive what was refused for that too, and what waits behind an item of its key that stays")
		fs.BoolVar(&order.Again, "again", false, "go on although what a killed redrive sent can no longer be looked up: it may be sent twice")
	}); err != nil {
		return err
	}
	order.Filter = p.filter
	return p.on(ctx, stderr, useOf(order, app.PoisonRedrive), func(pq poisonQueues) error { return p.carryOut(ctx, pq, order, stdout, stderr) })
}

func poisonDiscard(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	order := poison.Order{Action: "discard"}
	var p poisonFlags
	var yes bool
	if _, err := parse("poison discard", "[flags]", args, 0, 0, func(fs *flag.FlagSet) {
		p.flags(fs)
		orderFlags(fs, &order)
		fs.BoolVar(&yes, "yes", false, "do not ask")
	}); err != nil {
		return err
	}
	order.Filter = p.filter
	return p.on(ctx, stderr, useOf(order, app.PoisonDiscard), func(pq poisonQueues) error {
		if !yes && !order.DryRun {
			if err := confirm(ctx, pq, order, os.Stdin, stderr); err != nil {
				return err
			}
		}
		return p.carryOut(ctx, pq, order, stdout, stderr)
	})
}

// useOf is what an order needs the queues for.
func useOf(order poison.Order, use app.PoisonUse) app.PoisonUse {
	if order.DryRun {
		return app.PoisonLook
	}
	return use
}

func orderFlags(fs *flag.FlagSet, o *poison.Order) {
	fs.BoolVar(&o.All, "all", false, "without any filter: every item of every destination")
	fs.BoolVar(&o.DryRun, "dry-run", false, "tell what would be done and change nothing")
	fs.IntVar(&o.Limit, "limit", 0, "settle at most so many items; 0: all")
}

// confirm tells how many items are meant and asks a person.
func confirm(ctx context.Context, pq poisonQueues, order poison.Order, in *os.File, stderr io.Writer) error {
	order.DryRun = true
	run, err := pq.Begin(ctx, order, caller())
	if err != nil {
		return err
	}
	for run.State == "running" {
		if run, err = pq.Run(ctx, run.ID, pollWait); err != nil {
			return err
		}
	}
	if run.Error != "" {
		return errors.New(run.Error)
	}
	if run.Discarded == 0 {
		return nil
	}
	if info, err := in.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return misuse("poison discard: %s meant, and nobody can be asked; see them with --dry-run, and say --yes", plural.Count(run.Discarded, "item is", "items are"))
	}
	fmt.Fprintf(stderr, "%s of %s would be settled without being sent. Go on? [y/N] ", plural.Count(run.Discarded, "item"), strings.Join(run.Destinations, ", "))
	answer, _ := bufio.NewReader(in).ReadString('\n')
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New("nothing was discarded")
	}
	return nil
}

const pollWait = 2 * time.Second

// caller is who runs the command, for marks; a server knows it by the token.
func caller() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return "command of " + u.Username
	}
	return "command"
}

// carryOut begins a run and waits for its end. When ctx ends it is stopped.
func (p *poisonFlags) carryOut(ctx context.Context, pq poisonQueues, order poison.Order, stdout, stderr io.Writer) error {
	soon := 1
	order.Wait = &soon
	// A run whose begin is not waited for goes on at the server, and nobody knows its id.
	run, err := pq.Begin(context.WithoutCancel(ctx), order, caller())
	if err != nil {
		return err
	}
	for run.State == "running" && ctx.Err() == nil {
		var next poison.Run
		if next, err = pq.Run(ctx, run.ID, pollWait); err != nil {
			break
		}
		if run = next; run.State == "running" && !p.json {
			fmt.Fprintf(stderr, "%s: %d settled, %d left\n", run.Action, run.Redriven+run.Discarded+run.Skipped, run.Failed+run.Refused+run.Behind)
		}
	}
	if ctx.Err() != nil {
		rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
		defer cancel()
		if stopped, err := pq.Stop(rest, run.ID); err == nil {
			run = stopped
		}
	} else if err != nil { // not an error that would have it begun again without the server
		return fmt.Errorf("the server does not tell any more how run %s goes: %s; ask again: what it settled is not done twice", run.ID, err.Error())
	}
	if p.json {
		err = printJSON(stdout, run)
	} else {
		err = poisonRunText(stdout, run, time.Now())
	}
	switch {
	case run.State == "failed":
		return errors.Join(errors.New(run.Error), err)
	case run.State != "done":
		return errors.Join(fmt.Errorf("%s was stopped; begun again it goes on with what is left", run.Action), err)
	}
	return err
}
