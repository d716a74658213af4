package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"eventserver/app/schema"
	"eventserver/app/schema/evolve"
	"eventserver/cmd/eventserver/internal/eventcheck"
)

// defaultSchemas is the directory that the configuration has by default.
const defaultSchemas = "./schemas"

func dirFlag(fs *flag.FlagSet, dir *string) {
	fs.StringVar(dir, "dir", defaultSchemas, "directory of the schemas")
}

// listedSchema is an entry of schema list --json.
type listedSchema struct {
	Type        string `json:"type"`
	Version     int    `json:"version"`
	Key         string `json:"key"` // JSON pointer; "": none
	File        string `json:"file"`
	Description string `json:"description"`
}

func schemaList(_ context.Context, args []string, stdout, stderr io.Writer) error {
	var dir string
	var asJSON bool
	if _, err := parse("schema list", "[flags]", args, 0, 0, func(fs *flag.FlagSet) { dirFlag(fs, &dir); jsonFlag(fs, &asJSON) }); err != nil {
		return err
	}
	reg, err := schema.Load(dir)
	if err != nil {
		return err
	}
	if asJSON {
		list := []listedSchema{}
		for _, s := range reg.Schemas() {
			list = append(list, listedSchema{s.Type, s.Version, s.KeyPointer, s.File, s.Description})
		}
		return printJSON(stdout, list)
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TYPE\tVERSION\tKEY\tFILE\tDESCRIPTION")
	for _, s := range reg.Schemas() {
		first, _, _ := strings.Cut(s.Description, "\n")
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", s.Type, s.Version, cmp.Or(s.KeyPointer, "-"), s.File, first)
	}
	return w.Flush()
}

func schemaCheck(_ context.Context, args []string, stdout, stderr io.Writer) error {
	var dir string
	var asJSON bool
	if _, err := parse("schema check", "[flags]", args, 0, 0, func(fs *flag.FlagSet) { dirFlag(fs, &dir); jsonFlag(fs, &asJSON) }); err != nil {
		return err
	}
	reg, err := schema.Load(dir)
	if err == nil {
		var counts map[string]schema.TestCount
		if counts, err = reg.TestEvents(dir); err == nil {
			tried := 0
			for _, c := range counts {
				tried += c.Valid + c.Invalid
			}
			if asJSON {
				c := checked{Valid: true, Faults: []shownFault{}}
				for _, w := range reg.Warnings() {
					c.Warnings = append(c.Warnings, shownOf(w))
				}
				return printJSON(stdout, c)
			}
			for _, w := range reg.Warnings() {
				fmt.Fprintf(stdout, "warning: %v\n", w)
			}
			fmt.Fprintf(stdout, "%s valid\n", count(len(reg.Schemas()), "schema is", "schemas are"))
			if tried > 0 {
				fmt.Fprintf(stdout, "%s as the names of the files say\n", count(tried, "test event is", "test events are"))
			}
			return nil
		}
	}
	if asJSON {
		return errors.Join(printJSON(stdout, checked{Faults: shownFaults(err)}), fmt.Errorf("%s in %s", count(len(shownFaults(err)), "fault", "faults"), dir))
	}
	var faults *schema.Faults
	if !errors.As(err, &faults) {
		return err
	}
	for _, f := range faults.List() {
		fmt.Fprintln(stderr, f) // as check writes those of a configuration
	}
	return fmt.Errorf("%s in %s", count(len(faults.List()), "fault", "faults"), dir)
}

func schemaValidate(_ context.Context, args []string, stdout, stderr io.Writer) error {
	var dir, typ string
	var asJSON bool
	var set *flag.FlagSet
	files, err := parse("schema validate", "FILE [flags]", args, 1, 1, func(fs *flag.FlagSet) {
		set = fs
		dirFlag(fs, &dir)
		jsonFlag(fs, &asJSON)
		fs.StringVar(&typ, "type", "", "type of the events that name none")
	})
	if err != nil {
		return err
	}
	reg, err := schema.Load(dir)
	if err != nil {
		return err
	}
	if _, ok := reg.Lookup(typ); typ != "" && !ok {
		return fmt.Errorf("there is no schema of type %q in %s; %s shows the types", typ, dir, shellLine("eventserver schema list", given(set, "type", "json")...))
	}
	name := files[0]
	var text []byte
	if name == "-" {
		name = "stdin"
		text, err = io.ReadAll(os.Stdin)
	} else {
		text, err = os.ReadFile(name) //nolint:gosec // the file that the user names
	}
	if err != nil {
		return err
	}
	events, faults, err := eventcheck.Check(reg, typ, text)
	if err != nil {
		return err
	}
	answer := validated{Valid: len(faults) == 0, Events: events, Faults: []shownFault{}}
	for _, f := range faults {
		if asJSON {
			answer.Faults = append(answer.Faults, shownFault{File: name, Line: f.Line, Message: f.Err.Error()})
			continue
		}
		fmt.Fprintf(stdout, "%s:%d: %v\n", name, f.Line, f.Err)
	}
	if asJSON {
		err = printJSON(stdout, answer)
	}
	if len(faults) > 0 {
		return errors.Join(err, fmt.Errorf("%d of %s would be refused", len(faults), count(events, "event", "events")))
	}
	if asJSON {
		return err
	}
	fmt.Fprintf(stdout, "%s valid\n", count(events, "event is", "events are"))
	return nil
}

// validated is what schema validate --json prints.
type validated struct {
	Valid  bool         `json:"valid"`
	Events int          `json:"events"`
	Faults []shownFault `json:"faults"` // of one event each
}

func schemaDiff(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var asJSON bool
	dirs, err := parse("schema diff", "OLD NEW [flags]", args, 2, 2, func(fs *flag.FlagSet) {
		fs.BoolVar(&asJSON, "json", false, "print a JSON array")
	})
	if err != nil {
		return err
	}
	old, err := schemasAt(ctx, dirs[0])
	if err != nil {
		return err
	}
	latest, err := schemasAt(ctx, dirs[1])
	if err != nil {
		return err
	}
	changes := evolve.Diff(old, latest)
	slices.SortStableFunc(changes, func(a, b evolve.Change) int { return rank(a) - rank(b) })
	if err := writeChanges(stdout, changes, asJSON); err != nil {
		return err
	}
	bad := 0
	for _, c := range changes {
		if !c.Allowed {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Errorf("%s not allowed; raise the version of the type, or take it back", count(bad, "change is", "changes are"))
	}
	return nil
}

func rank(c evolve.Change) int {
	switch {
	case !c.Allowed:
		return 0
	case c.Breaking:
		return 1
	default:
		return 2
	}
}

// change is evolve.Change with the names that JSON readers get.
type change struct {
	Type     string `json:"type"`
	Pointer  string `json:"pointer"`
	Kind     string `json:"kind"`
	Detail   string `json:"detail"`
	Breaking bool   `json:"breaking"`
	Allowed  bool   `json:"allowed"`
}

func writeChanges(w io.Writer, changes []evolve.Change, asJSON bool) error {
	if asJSON {
		list := []change{}
		for _, c := range changes {
			list = append(list, change(c))
		}
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(list)
	}
	if len(changes) == 0 {
		fmt.Fprintln(w, "nothing has changed")
	}
	for _, c := range changes {
		fmt.Fprintln(w, c)
	}
	return nil
}

func schemaNew(_ context.Context, args []string, stdout, stderr io.Writer) error {
	var dir string
	types, err := parse("schema new", "TYPE [flags]", args, 1, 1, func(fs *flag.FlagSet) { dirFlag(fs, &dir) })
	if err != nil {
		return err
	}
	files, err := schema.Scaffold(dir, types[0])
	if err != nil {
		return err
	}
	for _, f := range files {
		fmt.Fprintln(stdout, "wrote", f)
	}
	fmt.Fprintf(stdout, `
Next:
  1. Write what the event says into %s, with its examples.
  2. Write events that the schema must accept and refuse into %s;
     the names of the files say which, and by which rule.
  3. %s
`, files[0], filepath.Dir(files[1]), shellLine("eventserver schema check", "--dir", dir))
	if filepath.Clean(dir) == filepath.Clean(defaultSchemas) {
		fmt.Fprint(stdout, "  4. make generate\n  5. go test ./schemas/...\n")
	}
	return nil
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
