package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	versions "eventserver/app/version"
)

func version(_ context.Context, args []string, stdout, _ io.Writer) error {
	var asJSON bool
	if _, err := parse("version", "[flags]", args, 0, 0, func(fs *flag.FlagSet) { jsonFlag(fs, &asJSON) }); err != nil {
		return err
	}
	if asJSON {
		return printJSON(stdout, versions.Get())
	}
	_, err := fmt.Fprintln(stdout, "eventserver", versions.Get())
	return err
}
