package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"eventserver/app"
	"eventserver/app/config/strict"
	"eventserver/app/textfile"
)

// checked is what check --json and schema check --json print.
type checked struct {
	Valid  bool         `json:"valid"`
	Faults []shownFault `json:"faults"`
	// Warnings are of what is valid and doubtful.
	Warnings []shownFault `json:"warnings,omitempty"`
}

// checkedConfig has the topology of a valid configuration.
type checkedConfig struct {
	checked
	Topology app.Topology `json:"topology"`
}

type shownFault struct {
	File    string `json:"file"`
	Line    int    `json:"line"` // 0: the fault is of no line
	Path    string `json:"path"`
	Message string `json:"message"`
}

func shownOf(f *textfile.Fault) shownFault { return shownFault{f.File, f.Line, f.Path, f.Msg} }

func shownFaults(err error) []shownFault {
	out := []shownFault{}
	var faults *textfile.Faults
	switch {
	case errors.As(err, &faults):
		for _, f := range faults.List() {
			out = append(out, shownOf(f))
		}
	case err != nil:
		out = append(out, shownFault{Message: err.Error()})
	}
	return out
}

func check(_ context.Context, args []string, stdout, stderr io.Writer) error {
	var path string
	var asJSON bool
	if _, err := parse("check", "[flags]", args, 0, 0, func(fs *flag.FlagSet) {
		jsonFlag(fs, &asJSON)
		fs.StringVar(&path, "config", "", "configuration to check: "+configForms+"; without it, what runs without one")
	}); err != nil {
		return err
	}
	cfg, err := app.Check(path, app.Options{})
	if err != nil && asJSON {
		c := checked{Faults: shownFaults(err)}
		return errors.Join(printJSON(stdout, c), errors.New(count(len(c.Faults), "fault", "faults")))
	}
	if err != nil {
		return err
	}
	warnings, err := app.SchemaWarnings(cfg)
	if err != nil {
		return err
	}
	if asJSON {
		c := checked{Valid: true, Faults: []shownFault{}}
		for _, w := range warnings {
			c.Warnings = append(c.Warnings, shownOf(w))
		}
		return printJSON(stdout, checkedConfig{c, app.TopologyOf(cfg)})
	}
	if err := writeTopology(stdout, cfg); err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Fprintf(stdout, "warning: %v\n", w)
	}
	_, err = fmt.Fprintln(stdout, "the configuration is valid")
	return err
}

func transform(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var path, id string
	var asJSON bool
	files, err := parse("transform", "FILE [flags]", args, 1, 1, func(fs *flag.FlagSet) {
		fs.StringVar(&path, "config", "", "configuration: "+configForms)
		fs.StringVar(&id, "destination", "", "id of the destination")
		jsonFlag(fs, &asJSON)
	})
	if err != nil {
		return err
	}
	if id == "" {
		return misuse("transform: give --destination ID")
	}
	if path == strict.Stdin && files[0] == "-" {
		return misuse("transform: standard input is the configuration or the event, not both")
	}
	cfg, err := loadFor(path, "http.max_event_bytes", "http.max_batch_events", "schemas")
	if err != nil {
		return err
	}
	var body []byte
	if files[0] == "-" {
		body, err = io.ReadAll(os.Stdin)
	} else {
		body, err = os.ReadFile(files[0]) //nolint:gosec // the file that the user names
	}
	if err != nil {
		return err
	}
	rehearsals, err := app.DryRun(ctx, cfg, app.Options{}, id, body)
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(stdout, rehearsals)
	}
	errs := []error{err}
	for _, r := range rehearsals {
		errs = append(errs, r.Err())
		if !asJSON {
			errs = append(errs, r.Write(stdout))
		}
	}
	return errors.Join(errs...)
}
