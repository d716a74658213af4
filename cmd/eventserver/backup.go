package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"

	"eventserver/app"
	"eventserver/app/admin"
	"eventserver/app/config"
)

// backupBroker copies what the embedded broker has stored to another directory.
func backupBroker(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var a adminFlags
	dirs, err := parse("backup", "DIR [flags]", args, 1, 1, func(fs *flag.FlagSet) { a.flags(fs) })
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(dirs[0]) // the server has another working directory
	if err != nil {
		return err
	}
	t, err := a.target()
	if err != nil {
		return err
	}
	var answer admin.BackupAnswer
	if err := t.orElse(stderr,
		func(c *admin.Client) error {
			return c.Post(ctx, "/v1/backup", admin.BackupOrder{Dir: dir}, &answer)
		},
		func(c *config.Config) (err error) {
			if err := c.Need("broker"); err != nil {
				return err
			}
			answer, err = app.BackupStopped(ctx, c, app.Options{Logger: warnings(stderr)}, dir)
			return err
		},
	); err != nil {
		return err
	}
	if a.json {
		return printJSON(stdout, answer)
	}
	_, err = fmt.Fprintf(stdout, "%s has a copy of what the broker had stored, %d bytes\n", answer.Dir, answer.Bytes)
	return err
}

// errLost ends a repair that could not copy everything; it has printed what.
var errLost = errors.New("some of it is lost: see above")

// repairBroker copies what can be read of a damaged directory.
func repairBroker(ctx context.Context, args []string, stdout, _ io.Writer) error {
	dirs, err := parse("repair", "DIR [NEWDIR]", args, 1, 2, func(*flag.FlagSet) {})
	if err != nil {
		return err
	}
	from := filepath.Clean(dirs[0])
	to := from + ".repaired"
	if len(dirs) == 2 {
		to = dirs[1]
	}
	report, err := app.Repair(ctx, from, to)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(stdout, report.String()); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s has what could be read, and this text in repair.txt; %s is as it was\nstart the server with broker.dir: %s, or move the directories\n", to, from, to)
	if !report.Whole() {
		return errLost
	}
	return nil
}
