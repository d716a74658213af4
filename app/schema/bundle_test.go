package schema

import (
	"encoding/json"
	"eventserver/app/schema/quick"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestBundle(t *testing.T) {
	t.Parallel()
	reg, err := load(files(
		"orders/a.yaml", `
x-event: {type: a, version: 1}
description: d
type: object
examples: [{z: 1, b: 2}]
properties:
  z: {$ref: "../_lib/common.yaml#/$defs/money"}
  b: {$ref: "../_lib/common.yaml#list"}
  money: {$ref: "#/$defs/money"}
  tree: {$ref: "../_tree.yaml"}
  self: {$ref: "#"}
  other: {$ref: "../b.yml"}
  odd: {$ref: "../_lib/common.yaml#/$defs/a~1b%25%7E0"}
  $ref: {const: {$ref: "../nothing.yaml"}}
$defs:
  money: {$anchor: m, type: string}
`,
		"b.yml", "x-event: {type: b, version: 1}\ndescription: e\ntype: object\nexamples: [{}]\nproperties: {a: {$ref: \"orders/a.yaml#m\"}}\n",
		"_lib/common.yaml", `
$schema: https://json-schema.org/draft/2020-12/schema
$defs:
  money: {type: integer}
  list: {$anchor: list, type: [array, integer], items: {$ref: "#/$defs/money"}, default: {$ref: x}}
  "a/b%~": {type: boolean}
`,
		"_tree.yaml", "type: object\nproperties: {left: {$ref: \"#\"}, right: {$ref: \"_tree.yaml#\"}}\n",
	), "s")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := reg.Lookup("a")
	got, err := a.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"$schema":"https://json-schema.org/draft/2020-12/schema",` +
		`"x-event":{"type":"a","version":1},"description":"d","type":"object","examples":[{"z":1,"b":2}],` +
		`"properties":{"z":{"$ref":"#/$defs/money_2"},"b":{"$ref":"#/$defs/list"},"money":{"$ref":"#/$defs/money"},` +
		`"tree":{"$ref":"#/$defs/tree"},"self":{"$ref":"#"},"other":{"$ref":"#/$defs/b"},"odd":{"$ref":"#/$defs/a~1b%25~0"},` +
		`"$ref":{"const":{"$ref":"../nothing.yaml"}}},` +
		`"$defs":{"money":{"type":"string"},"money_2":{"type":"integer"},` +
		`"list":{"type":["array","integer"],"items":{"$ref":"#/$defs/money_2"},"default":{"$ref":"x"}},` +
		`"tree":{"type":"object","properties":{"left":{"$ref":"#/$defs/tree"},"right":{"$ref":"#/$defs/tree"}}},` +
		`"b":{"description":"e","type":"object","examples":[{}],"properties":{"a":{"$ref":"#/$defs/money"}}},` +
		`"a/b%~":{"type":"boolean"}}}`
	if string(got) != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
	if err := a.Validate([]byte(`{"tree":{"left":{"right":1}}}`)); err == nil ||
		err.Error() != "a v1: /tree/left/right: type: must be an object but is an integer" {
		t.Error(err)
	}
}

// A bundle stands alone: the library compiles it as it is, without files.
func TestBundleStandsAlone(t *testing.T) {
	t.Parallel()
	for _, s := range example(t).Schemas() {
		data, err := s.Bundle()
		if err != nil || !json.Valid(data) {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		c.UseLoader(quick.Nothing{})
		if err := c.AddResource("schema:///x", doc); err != nil {
			t.Fatal(err)
		}
		sch, err := c.Compile("schema:///x")
		if err != nil {
			t.Fatal(err)
		}
		event, err := jsonschema.UnmarshalJSON(strings.NewReader(string(s.Examples[0])))
		if err != nil || sch.Validate(event) != nil {
			t.Error(err, sch.Validate(event))
		}
	}
}
