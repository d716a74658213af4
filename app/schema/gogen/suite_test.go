package gogen_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"eventserver/app/schema"
	"eventserver/app/schema/gogen"
)

// roundtrip reads lines of a type and an event, and writes the event after its Go
// type had it, or the error.
const roundtrip = `package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"generated/events"
)

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		typ, data, _ := strings.Cut(in.Text(), " ")
		e, ok := events.New(typ)
		if !ok {
			fmt.Println("error no type", typ)
			continue
		}
		err := json.Unmarshal([]byte(data), e)
		out, err2 := json.Marshal(e)
		if err != nil || err2 != nil {
			fmt.Println("error", err, err2)
			continue
		}
		fmt.Println(string(out))
	}
}
`

// run compiles the generated package and has it read and write events.
func run(t *testing.T, src []byte, lines []byte) []string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module generated\n\ngo 1.26\n", "main.go": roundtrip, "events/events.go": string(src)} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", ".")
	cmd.Dir, cmd.Stdin, cmd.Env = dir, bytes.NewReader(lines), append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		t.Fatalf("%v: %.3000s", err, exit.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// An integer written with a fraction is one to JSON Schema and not to
// encoding/json. A deviation that is listed must deviate.
var deviations = map[string]bool{
	"type.json: integer type matches integers: a float with zero fractional part is an integer":   true,
	"const.json: const with 0 does not match other zero-like types: float zero is valid":          true,
	"const.json: const with 1 does not match true: float one is valid":                            true,
	"const.json: float and integers are equal up to 64-bit representation limits: float is valid": true,
	"enum.json: enum with 0 does not match false: float zero is valid":                            true,
	"enum.json: enum with 1 does not match true: float one is valid":                              true,
}

// Every schema of the official suite that Load accepts has Go code that compiles,
// and what the schema lets pass still does after its Go type had it.
func TestSuite(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../testdata/json-schema-test-suite/tests/draft2020-12/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	dir := t.TempDir()
	type group struct {
		Description string
		Schema      json.RawMessage
		Tests       []struct {
			Description string
			Data        json.RawMessage
			Valid       bool
		}
	}
	groups := map[string]group{}
	ids := map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var list []group
		if err := json.Unmarshal(data, &list); err != nil {
			t.Fatal(err)
		}
		for i, g := range list {
			typ := fmt.Sprintf("t%d.%s", i, strings.TrimSuffix(filepath.Base(file), ".json"))
			event := fmt.Sprintf("x-event: {type: %q, version: 1}\ndescription: d\ntype: object\nexamples: [{}]\nproperties: {v: {$ref: \"_%s.yaml\"}}\n", typ, typ)
			for name, text := range map[string]string{"_" + typ + ".yaml": string(g.Schema), typ + ".yaml": event} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			groups[typ], ids[typ] = g, filepath.Base(file)+": "+g.Description
		}
	}
	reg, err := schema.Load(dir)
	var faults *schema.Faults
	if errors.As(err, &faults) { // what the suite has and Load refuses
		for _, f := range faults.List() {
			_ = os.Remove(f.File)
			_ = os.Remove(filepath.Join(dir, strings.TrimPrefix(filepath.Base(f.File), "_")))
		}
		reg, err = schema.Load(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	src, err := gogen.File(reg, "events")
	if err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	type sent struct{ typ, id, data string }
	var all []sent
	for _, s := range reg.Schemas() {
		for _, test := range groups[s.Type].Tests {
			var data bytes.Buffer
			if err := json.Compact(&data, test.Data); err != nil {
				t.Fatal(err)
			}
			event := fmt.Sprintf(`{"v":%s}`, data.String())
			if s.Validate([]byte(event)) != nil {
				continue
			}
			fmt.Fprintln(&lines, s.Type, event)
			all = append(all, sent{s.Type, ids[s.Type] + ": " + test.Description, event})
		}
	}
	got := run(t, src, lines.Bytes())
	if len(got) != len(all) {
		t.Fatalf("%d answers of %d", len(got), len(all))
	}
	for i, s := range all {
		sch, _ := reg.Lookup(s.typ)
		if err := sch.Validate([]byte(got[i])); (err != nil) != deviations[s.id] {
			t.Errorf("%s: %s became %s: %v", s.id, s.data, got[i], err)
		}
	}
	if len(reg.Schemas()) < 300 || len(all) < 650 { // so that a file that is gone is noticed
		t.Errorf("%d schemas, %d events", len(reg.Schemas()), len(all))
	}
	t.Logf("%d schemas, %d events, %d bytes of Go", len(reg.Schemas()), len(all), len(src))
}
