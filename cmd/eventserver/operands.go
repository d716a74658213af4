package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// mixedFlags is flags for commands whose operands people write first: `pause ID
// --why TEXT`. It takes as many operands as the usage names.
func mixedFlags(name, usage string, args []string, stderr io.Writer, least, most int, define func(*flag.FlagSet)) ([]string, error) {
	fs := flag.NewFlagSet("eventserver "+name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprintf(stderr, "usage: eventserver %s %s\n", name, usage)
		fs.PrintDefaults()
	}
	define(fs)
	var operands []string
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usageError{err}
		}
		if fs.NArg() == 0 {
			break
		}
		operands, args = append(operands, fs.Arg(0)), fs.Args()[1:]
	}
	if len(operands) < least || len(operands) > most {
		return nil, usageError{fmt.Errorf("write: eventserver %s %s", name, usage)}
	}
	return operands, nil
}
