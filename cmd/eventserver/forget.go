package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"eventserver/app/admin"
	"eventserver/router/plural"
)

// forgetDestination deletes what a removed destination has left on the broker.
func forgetDestination(ctx context.Context, args []string, stdout, _ io.Writer) error {
	var a adminFlags
	var order admin.ForgetOrder
	var dry, yes bool
	ids, err := parse("forget", "ID [--poison] [--dry-run] [--yes] [flags]", args, 1, 1, func(fs *flag.FlagSet) {
		a.flags(fs)
		fs.BoolVar(&order.Poison, "poison", false, "its poison queue too, which otherwise stays")
		fs.BoolVar(&dry, "dry-run", false, "count what would be lost, and change nothing")
		fs.BoolVar(&yes, "yes", false, "do it; without it, it is a dry run that ends with an error")
	})
	if err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	path := destinationPath(ids[0], "/forget")
	var answer admin.ForgetAnswer
	order.DryRun = true
	if err := c.Post(ctx, path, order, &answer); err != nil {
		return err
	}
	if !a.json {
		fmt.Fprintf(stdout, "%s has %s that it was not sent, and %s in its poison queue\n", answer.ID,
			plural.Count(answer.Undelivered, "event"), plural.Count(answer.Poison, "item"))
	}
	done := yes && !dry
	if done {
		order.DryRun, order.Confirm = false, &answer.Lost
		if err := c.Post(ctx, path, order, &answer); err != nil {
			return err
		}
	}
	switch {
	case a.json:
		err = printJSON(stdout, answer)
	case done:
		_, err = fmt.Fprintf(stdout, "%s is forgotten: %s lost; %s\n", answer.ID, plural.Count(answer.Lost, "event is", "events are"), poisonFate(order.Poison, answer.Poison))
	default:
		_, err = fmt.Fprintf(stdout, "forget deletes its consumer groups and its topic: %s lost; %s\n", plural.Count(answer.Lost, "event would be", "events would be"), poisonFate(order.Poison, answer.Poison))
	}
	if err == nil && !dry && !yes {
		err = errors.New("nothing was changed; add --yes to do it")
	}
	return err
}

// poisonFate says what becomes of the poison queue.
func poisonFate(deleted bool, items int64) string {
	if deleted || items == 0 {
		return "nothing of it stays"
	}
	return "its poison queue stays; --poison deletes that, too"
}
