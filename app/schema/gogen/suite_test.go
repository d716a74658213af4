package gogen_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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

// module is a go.mod and go.sum with this module's version of the JSON library.
func module(t *testing.T) (mod, sum string) {
	t.Helper()
	const library = "github.com/go-json-experiment/json "
	lines := func(file string) (found string) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, library) {
				found += line + "\n"
			}
		}
		return found
	}
	return "module generated\n\ngo 1.26\n\nrequire " + lines("../../../go.mod"), lines("../../../go.sum")
}

// equal says whether two events are the same value: what becomes of a number's
// text is not looked at.
func equal(t *testing.T, a, b string) bool {
	t.Helper()
	return same(value(t, a), value(t, b))
}

func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, same)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	case json.Number:
		n, ok := b.(json.Number)
		x, ok1 := new(big.Rat).SetString(a.String())
		y, ok2 := new(big.Rat).SetString(n.String())
		return ok && ok1 && ok2 && x.Cmp(y) == 0
	}
	return a == b
}

// run compiles the generated package and has it read and write events.
func run(t *testing.T, src []byte, lines []byte) []string {
	t.Helper()
	dir := t.TempDir()
	mod, sum := module(t)
	for name, text := range map[string]string{"go.mod": mod, "go.sum": sum, "main.go": roundtrip, "events/events.go": string(src)} {
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

// Every schema of the official suite that Load accepts has Go code that compiles,
// and what the schema lets pass still does after its Go type had it.
func TestSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program of generated types")
	}
	t.Parallel()
	files, err := filepath.Glob("../testdata/json-schema-test-suite/tests/draft2020-12/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
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
	ids, schemas := map[string]string{}, map[string]string{}
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
			schemas[typ] = string(g.Schema)
			groups[typ], ids[typ] = g, filepath.Base(file)+": "+g.Description
		}
	}
	reg, src := written(t, schemas)
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
		if err := sch.Validate([]byte(got[i])); err != nil || !equal(t, s.data, got[i]) {
			t.Errorf("%s: %s became %s: %v", s.id, s.data, got[i], err)
		}
	}
	if len(reg.Schemas()) < 300 || len(all) < 650 { // so that a file that is gone is noticed
		t.Errorf("%d schemas, %d events", len(reg.Schemas()), len(all))
	}
	t.Logf("%d schemas, %d events, %d bytes of Go", len(reg.Schemas()), len(all), len(src))
}
