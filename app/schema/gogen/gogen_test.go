package gogen_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"eventserver/app/schema"
	"eventserver/app/schema/gogen"
)

func load(t *testing.T, files ...string) *schema.Registry {
	t.Helper()
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	reg, err := schema.LoadFS(fsys, "s")
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

const head = "x-event: {type: TYPE, version: 2}\ndescription: d\ntype: object\nexamples: [EXAMPLE]\n"

func event(typ, example, rest string) string {
	return strings.NewReplacer("TYPE", typ, "EXAMPLE", example).Replace(head) + rest
}

// body is what the file has behind its fixed part: from the first type on.
func body(t *testing.T, src []byte) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(src), "\treturn nil, false\n}\n")
	if !ok {
		t.Fatalf("%s", src)
	}
	return rest
}

func TestFile(t *testing.T) {
	t.Parallel()
	reg := load(t,
		"a.b.yaml", event("a.b", "{id: 5, tree: {name: x}, 'n': null, list: [], stamp: '2026-01-31T12:00:00Z', undeclared-then: 1}", `deprecated: true
required: [id, "n", list, stamp, undeclared-then]
properties:
  id: {type: integer, deprecated: true}
  event_type: {type: string}
  eventType: {type: string}
  "n": {type: [integer, "null"]}
  list:
    type: array
    items: {type: [string, "null"]}
  stamp: {$ref: "_c.yaml#/$defs/stamp", description: When.}
  cut: {type: string, format: date-time, maxLength: 20}
  day: {type: string, format: date}
  tree: {$ref: _tree.yaml}
  amount: {allOf: [{$ref: "_c.yaml#/$defs/amount"}], description: "What\nit cost."}
  maybe: {anyOf: [{$ref: "_c.yaml#/$defs/amount"}, {type: "null"}]}
  sign: {enum: [+, "-", plus, "1", null]}
  far: {type: integer, maximum: 1e20}
  never: false
  anything: true
  pair: {type: array, prefixItems: [{type: string}, {type: integer}]}
  counts: {type: object, additionalProperties: {type: integer}}
  byDay: {type: object, patternProperties: {"^[0-9]": {type: number}}, additionalProperties: false}
  extra: {type: object, required: [x], properties: {x: {$ref: "#/properties/byDay"}}, additionalProperties: {type: string}}
  other: {$ref: "c.d.yaml"}
  same: {$ref: "#/properties/extra"}
`),
		"c.d.yaml", event("c.d", "{kind: a, a: 1}", `oneOf:
  - {required: [kind, a], properties: {kind: {const: a}, a: {type: integer}, both: {type: string}, un: {type: string}}}
  - {required: [kind, b], properties: {kind: {const: b}, b: {$ref: "#"}, both: {type: string}, un: {type: integer}}}
`),
		"e.yaml", event("e", "{}", "additionalProperties: {type: [string, boolean]}\n"),
		"_c.yaml", `$defs:
  stamp: {type: string, format: date-time}
  amount: {type: integer, description: In cents.}
`,
		"_tree.yaml", `type: object
required: [name]
properties:
  name: {type: string}
  kids: {type: array, items: {$ref: "#"}}
  up: {$ref: "#"}
`)
	src, err := gogen.File(reg, "p")
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "tricky.golden")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, src, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != string(src) {
		t.Errorf("%v, got\n%s", err, src)
	}
	run(t, []byte(strings.Replace(string(src), "package p", "package events", 1)), nil)
}

func TestFileRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		reg  *schema.Registry
		want string
	}{
		{"p", load(t, "1.yaml", event("a.b", "{}", ""), "2.yaml", event("a_b", "{}", ""), "3.yaml", event("event", "{}", "")),
			filepath.Join("s", "2.yaml") + ": the types a.b and a_b have the same name in Go, AB; rename one\n" +
				filepath.Join("s", "3.yaml") + ": the type event would be Event in Go, which the package has for itself; rename it"},
		{"a-b", load(t), `"a-b" is no name of a Go package; write a word such as events`},
		{"func", load(t), `"func" is no name of a Go package; write a word such as events`},
	} {
		if src, err := gogen.File(tt.reg, tt.name); err == nil || err.Error() != tt.want {
			t.Errorf("got %v\nwant %v\n%s", err, tt.want, src)
		}
	}
}

// Two shared definitions of one name are two types; an event's own stays its own.
func TestNamesOfDefinitions(t *testing.T) {
	t.Parallel()
	src, err := gogen.File(load(t,
		"a.yaml", event("a", "{}", "properties: {m: {$ref: \"_x.yaml#/$defs/money\"}, n: {$ref: \"lib/_y.yaml#/$defs/money\"}, o: {$ref: \"#/$defs/money\"}}\n$defs: {money: {type: string}}\n"),
		"b.yaml", event("b", "{}", "properties: {m: {$ref: \"_x.yaml#/$defs/money\"}, n: {$ref: \"lib/_y.yaml#/$defs/money\"}, o: {$ref: \"a.yaml#/$defs/money\"}}\n"),
		"_x.yaml", "$defs: {money: {type: integer}}\n",
		"lib/_y.yaml", "$defs: {money: {type: number}}\n",
	), "p")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"type A struct {\n\tM *Money  `json:\"m,omitzero\"`\n\tN *Money2 `json:\"n,omitzero\"`\n\tO *AMoney `json:\"o,omitzero\"`\n}\n",
		"type B struct {\n\tM *Money  `json:\"m,omitzero\"`\n\tN *Money2 `json:\"n,omitzero\"`\n\tO *AMoney `json:\"o,omitzero\"`\n}\n",
		"type Money = Integer\n", "type Money2 = json.Number\n", "type AMoney string\n",
	} {
		if !strings.Contains(string(src), want) {
			t.Errorf("no %s in\n%.3000s", want, src)
		}
	}
}

func TestGoNames(t *testing.T) {
	t.Parallel()
	var props strings.Builder
	want := map[string]string{
		"orderId": "OrderID", "order_ids": "OrderIDs", "HTTPServer": "HTTPServer", "apiURL": "APIURL", "a1b2": "A1b2", "2fa": "X2fa",
		"größe": "Größe", "日本": "X日本", "$ref": "Ref", "-": "Member", "snake_case-and.dots": "SnakeCaseAndDots", "EventType": "EventType2",
		"omitempty": "Omitempty", "iPhone": "IPhone", "ÉCOLE": "ÉCOLE",
	}
	for json := range want {
		props.WriteString("  \"" + json + "\": {type: boolean}\n")
	}
	src, err := gogen.File(load(t, "a.yaml", event("a", "{}", "properties:\n"+props.String())), "p")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(body(t, src)), " ")
	for json, name := range want {
		if w := name + " *bool `json:\"" + json + ",omitzero\"`"; !strings.Contains(text, w) {
			t.Errorf("no %s in\n%.3000s", w, text)
		}
	}
}
