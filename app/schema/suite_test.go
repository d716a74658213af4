package schema

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// suiteDir holds the draft 2020-12 part of github.com/json-schema-org/JSON-Schema-Test-Suite
// at commit 44401e0c: the required cases, and in format/ the optional ones of the
// formats that are asserted.
const suiteDir = "testdata/json-schema-test-suite"

// suiteLoader serves the suite's remotes. Load itself uses the loader nothing.
type suiteLoader struct{}

func (suiteLoader) Load(uri string) (any, error) {
	name, ok := strings.CutPrefix(uri, "http://localhost:1234/")
	if !ok {
		return nil, fmt.Errorf("%s is none of the suite's", uri)
	}
	data, err := os.ReadFile(filepath.Join(suiteDir, "remotes", filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	doc, bad := decode(data, nil, nil)
	if bad != nil {
		return nil, bad
	}
	return doc, nil
}

type suiteGroup struct {
	Description string
	Schema      json.RawMessage
	Tests       []struct {
		Description string
		Data        json.RawMessage
		Valid       bool
	}
}

// TestSuite runs the official suite through compile and check, which Load and
// Validate use. A deviation that is listed must deviate.
func TestSuite(t *testing.T) {
	t.Parallel()
	for _, part := range []struct {
		name, glob string
		deviations map[string]string
		want       int // cases, so that a file that was not copied is noticed
	}{
		{"required", "tests/draft2020-12/*.json", requiredDeviations, 1299},
		{"formats", "tests/draft2020-12/format/*.json", formatDeviations, 637},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			files, err := filepath.Glob(filepath.Join(suiteDir, part.glob))
			if err != nil || len(files) == 0 {
				t.Fatal("no files", err)
			}
			cases, seen := 0, map[string]bool{}
			for _, name := range files {
				data, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				var groups []suiteGroup
				if err := json.Unmarshal(data, &groups); err != nil {
					t.Fatal(err)
				}
				for _, g := range groups {
					cases += len(g.Tests)
					runGroup(t, strings.TrimSuffix(filepath.Base(name), ".json"), g, part.deviations, seen)
				}
			}
			for id := range part.deviations {
				if !seen[id] {
					t.Errorf("deviation of no case: %s", id)
				}
			}
			if cases != part.want {
				t.Errorf("%d cases, want %d", cases, part.want)
			}
			t.Logf("%d cases, %d deviations", cases, len(part.deviations))
		})
	}
}

func runGroup(t *testing.T, file string, g suiteGroup, deviations map[string]string, seen map[string]bool) {
	t.Helper()
	doc, bad := decode(g.Schema, nil, nil)
	if bad != nil {
		t.Errorf("%s: %s: %v", file, g.Description, bad)
		return
	}
	v, err := compile("http://schema.test/schema.json", doc, suiteLoader{})
	if err != nil {
		t.Errorf("%s: %s: %v", file, g.Description, err)
		return
	}
	for _, test := range g.Tests {
		id := file + ": " + g.Description + ": " + test.Description
		got := v.check(test.Data)
		reason, listed := deviations[id]
		seen[id] = true
		switch passed := (got == nil) == test.Valid; {
		case !passed && !listed:
			t.Errorf("%s: valid is %v, got %v", id, test.Valid, got)
		case passed && listed:
			t.Errorf("%s: is listed as a deviation (%s), but passes", id, reason)
		}
		quickAgrees(t, id, v, test.Data)
	}
}

// quickAgrees checks quick, which decides most events, against the library.
func quickAgrees(t *testing.T, id string, v *validator, data []byte) {
	t.Helper()
	doc, bad := decode(data, nil, nil)
	if bad != nil || v.quick == nil {
		return
	}
	var r run
	ok := v.quick.root.ok(&r, doc)
	if lib := v.lib.Validate(doc); !r.undecided && ok != (lib == nil) {
		t.Errorf("%s: quick says %v, the library %v", id, ok, lib)
	}
}
