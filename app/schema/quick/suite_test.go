package quick

import (
	"encoding/json"
	"eventserver/app/schema/tree"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// suiteDir holds the draft 2020-12 part of github.com/json-schema-org/JSON-Schema-Test-Suite
// at commit 44401e0c: the required cases, and in format/ the optional ones of the
// formats that are asserted.
const suiteDir = "../testdata/json-schema-test-suite"

// suiteLoader serves the suite's remotes. Load itself uses the loader nothing.
type suiteLoader struct{ docs map[string]any }

func (l *suiteLoader) Load(uri string) (any, error) {
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
		return nil, fmt.Errorf("%s: %s", bad.Pointer, bad.Detail)
	}
	l.docs[uri] = plain(doc)
	return l.docs[uri], nil
}

// plain is a decoded value as the library takes it.
func plain(v any) any {
	switch v := v.(type) {
	case *object:
		m := map[string]any{}
		for _, e := range v.members {
			m[e.name] = plain(e.value)
		}
		return m
	case *array:
		list := make([]any, len(v.items))
		for i, item := range v.items {
			list[i] = plain(item)
		}
		return list
	}
	return v
}

// judged is what v says of data at the default limit.
func judged(t testing.TB, v *Validator, data []byte) *Refusal {
	t.Helper()
	bad, err := v.Check(t.Context(), data, DefaultMaxCost, nil)
	if err != nil {
		t.Fatal(err)
	}
	return bad
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

// TestSuite runs the official suite through the compiler and check, which Load and
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

// compileSuite is compile with what Load refuses: $dynamicRef to anywhere.
func compileSuite(uri string, doc any) (*Validator, error) {
	loader := &suiteLoader{docs: map[string]any{uri: doc}}
	c := NewCompiler(loader)
	if err := c.AddResource(uri, doc); err != nil {
		return nil, err
	}
	lib, err := c.Compile(uri)
	if err != nil {
		return nil, err
	}
	var others []*jsonschema.Schema
	for uri, doc := range loader.docs {
		for _, ptr := range targets(doc, "") {
			if s, err := c.Compile(uri + tree.Fragment(ptr)); err == nil { // else it is data
				others = append(others, s)
			}
		}
	}
	return newValidator(lib, others...)
}

// targets are the schemas in doc that a $dynamicRef can name, and the documents
// inside it.
func targets(doc any, ptr string) (list []string) {
	switch doc := doc.(type) {
	case map[string]any:
		if doc["$dynamicAnchor"] != nil || doc["$id"] != nil {
			list = append(list, ptr)
		}
		for name, v := range doc {
			list = append(list, targets(v, ptr+"/"+tree.Escape(name))...)
		}
	case []any:
		for i, v := range doc {
			list = append(list, targets(v, ptr+"/"+strconv.Itoa(i))...)
		}
	}
	return list
}

func runGroup(t *testing.T, file string, g suiteGroup, deviations map[string]string, seen map[string]bool) {
	t.Helper()
	doc, bad := decode(g.Schema, nil, nil)
	if bad != nil {
		t.Errorf("%s: %s: %v", file, g.Description, bad)
		return
	}
	v, err := compileSuite("http://schema.test/schema.json", plain(doc))
	if err != nil {
		t.Errorf("%s: %s: %v", file, g.Description, err)
		return
	}
	for _, test := range g.Tests {
		id := file + ": " + g.Description + ": " + test.Description
		got := judged(t, v, test.Data)
		reason, listed := deviations[id]
		seen[id] = true
		switch passed := (got == nil) == test.Valid; {
		case !passed && !listed:
			t.Errorf("%s: valid is %v, got %v", id, test.Valid, got)
		case passed && listed:
			t.Errorf("%s: is listed as a deviation (%s), but passes", id, reason)
		}
	}
}
