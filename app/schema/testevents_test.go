package schema

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTestEvents(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a.b.yaml":                                      "x-event: {type: a.b, version: 1, key: /k}\ndescription: d\ntype: object\nrequired: [n]\nproperties: {n: {type: integer}, k: {type: string}}\nexamples: [{n: 1, k: x}]\n",
		"c.d.yaml":                                      other,
		"testdata/a.b/valid-one.json":                   `{"n":1,"k":"x"}`,
		"testdata/a.b/valid-no-key.json":                `{"n":1}`,
		"testdata/a.b/valid-text.json":                  `{"n":"1","k":"x"}`,
		"testdata/a.b/invalid-type.json":                `{"n":"1","k":"x"}`,
		"testdata/a.b/invalid-type-x.json":              `{"n":true,"k":"x"}`,
		"testdata/a.b/invalid-typex.json":               `{"n":true,"k":"x"}`,
		"testdata/a.b/invalid-required.json":            `{"n":1,"k":"x"}`,
		"testdata/a.b/invalid-json.json":                `{`,
		"testdata/a.b/invalid-x-event.key-missing.json": `{"n":1}`,
		"testdata/a.b/one.json":                         `{"n":1,"k":"x"}`,
		"testdata/a.b/valid-one.txt":                    `{"n":1,"k":"x"}`,
		"testdata/e.f/valid-one.json":                   `{}`,
		"testdata/valid-one.json":                       `{}`,
		"testdata/a.b/.notes":                           `not looked at`,
		"testdata/g.h.yaml":                             `not a schema`,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	reg, err := Load(dir)
	if err != nil {
		t.Fatal(err) // testdata is not read
	}
	counts, err := reg.TestEvents(dir)
	if counts["a.b"] != (TestCount{3, 6}) || counts["c.d"] != (TestCount{}) || len(counts) != 2 {
		t.Error(counts)
	}
	d := filepath.Join(dir, "testdata")
	const name = "is no name of a test event; call it valid-<what>.json, or invalid-<rule>-<what>.json after the rule that it breaks"
	const none = "is of no type that has a schema; put it into testdata/<type>/, or delete it"
	want := d + "/a.b/invalid-required.json: is accepted; correct the event or the schema, or call it valid-*.json\n" +
		d + "/a.b/invalid-typex.json: is refused by another rule than its name says: a.b v1: /n: type: must be an integer but is a boolean; correct the event, or call it invalid-type.json\n" +
		d + "/a.b/one.json: " + name + "\n" +
		d + "/a.b/valid-no-key.json: is refused: a.b v1: /k: x-event.key: is missing; the ordering key is needed; correct the event or the schema\n" +
		d + "/a.b/valid-one.txt: " + name + "\n" +
		d + "/a.b/valid-text.json: is refused: a.b v1: /n: type: must be an integer but is a string; correct the event or the schema\n" +
		d + "/e.f/valid-one.json: " + none + "\n" +
		d + "/g.h.yaml: " + none + "\n" +
		d + "/valid-one.json: " + none
	if err == nil || err.Error() != want {
		t.Errorf("\ngot  %v\nwant %v", err, want)
	}
	if counts, err := reg.TestEvents(t.TempDir()); err != nil || counts["a.b"] != (TestCount{}) || len(counts) != 2 {
		t.Error("without test events:", counts, err)
	}
	if _, err := reg.TestEvents(filepath.Join(dir, "a.b.yaml")); err == nil {
		t.Error("a file is no directory")
	}
}

// The origin of what a bundle has from elsewhere is the same in every bundle.
func TestOrigin(t *testing.T) {
	t.Parallel()
	reg, err := LoadFS(files(
		"a.yaml", "x-event: {type: a, version: 1}\ndescription: d\ntype: object\nexamples: [{}]\n"+
			"properties: {m: {$ref: \"_c.yaml#/$defs/money\"}, n: {$ref: \"#/$defs/money\"}, s: {$ref: _whole.yaml}}\n$defs: {money: {type: string}}\n",
		"b.yaml", "x-event: {type: b, version: 1}\ndescription: d\ntype: object\nexamples: [{}]\nproperties: {m: {$ref: \"_c.yaml#/$defs/money\"}}\n",
		"_c.yaml", "$defs: {money: {type: integer}}\n",
		"_whole.yaml", "type: integer\n",
	), "s")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := reg.Lookup("a")
	b, _ := reg.Lookup("b")
	money := Origin{File: filepath.Join("s", "_c.yaml"), Pointer: "/$defs/money"}
	if got, ok := a.Origin("money_2"); !ok || got != money {
		t.Error(got, ok)
	}
	if got, ok := b.Origin("money"); !ok || got != money {
		t.Error(got, ok)
	}
	if got, ok := a.Origin("whole"); !ok || got != (Origin{File: filepath.Join("s", "_whole.yaml")}) {
		t.Error(got, ok)
	}
	if got, ok := a.Origin("money"); ok {
		t.Error("the schema's own:", got)
	}
}
