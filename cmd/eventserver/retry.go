package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"eventserver/app/admin"
	"eventserver/router/plural"
)

// retryDestination has the attempts that wait made now.
func retryDestination(ctx context.Context, args []string, stdout, _ io.Writer) error {
	var a adminFlags
	var order admin.RetryOrder
	ids, err := parse("retry", "ID [--key KEY] [flags]", args, 1, 1, func(fs *flag.FlagSet) {
		a.flags(fs)
		fs.StringVar(&order.Key, "key", "", "ordering key: end the backoff of this user alone; without it, of all. A pause of the breaker ends in both cases; this user's event is the probe if one waits")
	})
	if err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	var answer admin.RetryAnswer
	if err := c.Post(ctx, destinationPath(ids[0], "/retry"), order, &answer); err != nil {
		return err
	}
	if a.json {
		return printJSON(stdout, answer)
	}
	var ended []string
	if answer.Pause {
		ended = append(ended, "the pause of its breaker")
	}
	if answer.Backoffs > 0 {
		ended = append(ended, plural.Count(answer.Backoffs, "backoff"))
	}
	if len(ended) == 0 {
		_, err = fmt.Fprintf(stdout, "%s: nothing waited for its next attempt at the server that was asked; other instances on its broker were told, too\n", answer.ID)
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s is asked again now (ended: %s); `%s` shows what came of it\n", answer.ID, strings.Join(ended, ", "), a.hint("destinations", answer.ID))
	return err
}
