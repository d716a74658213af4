package schema

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestScaffold(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "schemas")
	for _, typ := range []string{"order.placed", "true", "12", "a_b-C.9", strings.Repeat("x", 100)} {
		files, err := Scaffold(dir, typ)
		events := filepath.Join(dir, "testdata", typ)
		want := []string{
			filepath.Join(dir, typ+".yaml"),
			filepath.Join(events, "invalid-additionalProperties.json"),
			filepath.Join(events, "invalid-minimum-amount.json"),
			filepath.Join(events, "invalid-required-amount.json"),
			filepath.Join(events, "valid-least.json"),
		}
		if err != nil || !slices.Equal(files, want) {
			t.Fatalf("Scaffold = %v, %v; want %s", files, err, want)
		}
	}
	reg, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, ok := reg.Lookup("order.placed")
	if len(reg.Schemas()) != 5 || !ok || s.Version != 1 || s.KeyPointer != "/customerId" {
		t.Errorf("%+v", s)
	}
	if err := s.Validate([]byte(`{"customerId":"ada","amount":1,"more":true}`)); err == nil {
		t.Error("the schema is open")
	}
	counts, err := reg.TestEvents(dir)
	if want := (TestCount{Valid: 1, Invalid: 3}); err != nil || counts["order.placed"] != want {
		t.Error(counts, err)
	}
}

func TestScaffoldRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.b.yaml", "mine")
	write("c.d.yml", "mine")
	write("sub/other.yaml", "x-event: {type: e.f, version: 1}\n")
	write("broken.yaml", "[")
	write("testdata/g.h/valid-a.json", "{}")
	const bad = "; write letters, digits, dots, _ and -, at most 100, the first a letter or digit, such as order.placed"
	for typ, want := range map[string]string{
		"":                       `type "" is no name of a type` + bad,
		"a/b":                    `type "a/b" is no name of a type` + bad,
		"..":                     `type ".." is no name of a type` + bad,
		"_a":                     `type "_a" is no name of a type` + bad,
		".a":                     `type ".a" is no name of a type` + bad,
		"a b":                    `type "a b" is no name of a type` + bad,
		"é":                      `type "é" is no name of a type` + bad,
		"a\n":                    `type "a\n" is no name of a type` + bad,
		strings.Repeat("x", 101): `type "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx..." is no name of a type` + bad,
		"a.b":                    filepath.Join(dir, "a.b.yaml") + " is there already; change it, or choose another type",
		"c.d":                    filepath.Join(dir, "c.d.yml") + " is there already; change it, or choose another type",
		"g.h":                    filepath.Join(dir, "testdata", "g.h") + " is there already; delete it, or choose another type",
		"e.f":                    "type e.f is in " + filepath.Join(dir, "sub", "other.yaml") + " already; change it, or choose another type",
	} {
		files, err := Scaffold(dir, typ)
		if err == nil || err.Error() != want || files != nil {
			t.Errorf("Scaffold(%q) = %v, %v; want %s", typ, files, err, want)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a.b.yaml")); err != nil || string(got) != "mine" {
		t.Error("overwritten:", string(got), err)
	}
	if _, err := Scaffold(filepath.Join(dir, "a.b.yaml"), "x"); err == nil || !strings.HasPrefix(err.Error(), "make the directory of the schemas: ") {
		t.Error(err)
	}
}
