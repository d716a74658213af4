package gogen_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eventserver/app/schema"
	"eventserver/app/schema/gogen"
)

// shape is a schema and values that it lets pass.
type shape struct {
	name   string
	schema string
	values []string
}

// written loads a directory of events whose member v has these schemas, writes the
// Go types and compiles them. A schema that Load refuses is left out.
func written(t *testing.T, schemas map[string]string) (reg *schema.Registry, src []byte) {
	t.Helper()
	dir := t.TempDir()
	for typ, text := range schemas {
		event := fmt.Sprintf("x-event: {type: %q, version: 1}\ndescription: d\ntype: object\nexamples: [{}]\nproperties: {v: {$ref: \"_%s.yaml\"}}\n", typ, typ)
		for name, text := range map[string]string{"_" + typ + ".yaml": text, typ + ".yaml": event} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	reg, err := schema.Load(dir)
	var faults *schema.Faults
	if errors.As(err, &faults) { // what Load refuses
		for _, f := range faults.List() {
			_ = os.Remove(f.File)
			_ = os.Remove(filepath.Join(dir, strings.TrimPrefix(filepath.Base(f.File), "_")))
		}
		reg, err = schema.Load(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	src, err = gogen.File(reg, "events")
	if err != nil {
		t.Fatal(err)
	}
	return reg, src
}

func shapes() []shape {
	return []shape{
		{"two objects under one member", `
allOf:
  - $ref: "#/$defs/base"
  - {type: object, properties: {cat: {type: object, properties: {ok: {const: true}, deep: {properties: {x: {type: integer}}}}}}}
$defs:
  base: {type: object, properties: {cat: {$ref: "#/$defs/cat"}}}
  cat: {type: object, properties: {id: {type: integer}, name: {type: string}, ok: {type: boolean}, deep: {type: object, properties: {"y": {type: string}}}}}
`, []string{`{"cat":{"id":1,"name":"n","ok":true,"deep":{"x":1,"y":"z"}}}`, `{"cat":{}}`, `{}`}},
		{"a reference beside properties", `
type: object
properties:
  p: {$ref: "#/$defs/d", properties: {b: {type: object, properties: {two: {type: integer}}}, c: {type: boolean}}}
$defs: {d: {type: object, required: [a], properties: {a: {type: string}, b: {type: object, properties: {one: {type: integer}}}}}}
`, []string{`{"p":{"a":"x","b":{"one":1,"two":2},"c":false}}`}},
		{"three levels of allOf", `
type: object
properties:
  a: {allOf: [{allOf: [{allOf: [{type: object, properties: {m: {type: object, properties: {one: {}}}}}]}, {properties: {m: {properties: {two: {}}}}}]}, {properties: {m: {properties: {three: {}}}}}]}
`, []string{`{"a":{"m":{"one":1,"two":null,"three":[3]}}}`}},
		{"if, then and else beside properties", `
type: object
properties: {kind: {type: string}, box: {type: object, properties: {w: {type: integer}}}}
if: {properties: {kind: {const: big}, seen: {type: boolean}}, required: [kind]}
then: {properties: {box: {type: object, properties: {h: {type: integer}}}, only: {type: string}}}
else: {properties: {box: {properties: {d: {type: integer}}}, small: {type: object, properties: {x: {type: string}}}}}
`, []string{`{"kind":"big","box":{"w":1,"h":2},"only":"x","seen":true}`, `{"kind":"s","box":{"w":1,"d":3},"small":{"x":"y"}}`,
			`{"kind":"s","only":5,"seen":[1]}`, `{"kind":"big","small":"text"}`}},
		{"dependentSchemas beside properties", `
type: object
properties: {card: {type: object, properties: {no: {type: string}}}}
dependentSchemas: {card: {properties: {card: {type: object, properties: {exp: {type: string}}}, billing: {type: string}}}}
`, []string{`{"card":{"no":"1","exp":"2"},"billing":"b"}`, `{"billing":5}`}},
		{"forms that are open", `
oneOf:
  - {type: object, required: [a], properties: {a: {type: integer}, m: {type: object, properties: {x: {type: integer}}}}}
  - {type: object, required: [b], properties: {b: {type: string}, m: {type: object, properties: {"y": {type: integer}}}}}
`, []string{`{"a":1,"m":{"x":1,"y":"open"}}`, `{"b":"x","m":{"x":"open","y":2}}`, `{"b":"x","a":"not the integer"}`, `{"a":7,"b":null}`}},
		{"forms that are closed", `
oneOf:
  - {type: object, additionalProperties: false, required: [a], properties: {a: {type: integer}, m: {type: object, properties: {x: {type: integer}}}}}
  - {type: object, additionalProperties: false, required: [b], properties: {b: {type: string}, m: {type: object, properties: {"y": {type: integer}}}}}
`, []string{`{"a":1.0,"m":{"x":1}}`, `{"b":"x","m":{"y":2}}`}},
		{"patterns beside properties", `
type: object
properties: {a: {type: object, properties: {one: {type: integer}}}, b: {type: string}}
patternProperties: {"^a": {type: object, properties: {two: {type: integer}}}, "^n": {type: integer}}
additionalProperties: {type: object, properties: {other: {type: string}}}
`, []string{`{"a":{"one":1,"two":2},"b":"x","ab":{"two":3},"n1":5,"z":{"other":"o"}}`, `{}`, `{"n":1e2}`}},
		{"others of several schemas", `
allOf:
  - {type: object, properties: {a: {type: string}}, additionalProperties: {type: [string, object], properties: {x: {type: integer}}}}
  - {properties: {b: {type: object, properties: {z: {type: integer}}}}, additionalProperties: {properties: {"y": {type: integer}}}}
`, []string{`{"a":"s","b":{"x":1,"z":3},"c":{"x":1,"y":2},"d":"text"}`}},
		{"a map of several schemas", `
type: object
properties:
  m: {allOf: [{type: object, additionalProperties: {type: object, properties: {x: {type: integer}}}}, {additionalProperties: {properties: {"y": {type: integer}}}}]}
`, []string{`{"m":{"k":{"x":1,"y":2},"":{}}}`}},
		{"unevaluated properties", `
type: object
properties: {a: {type: integer}}
allOf: [{properties: {b: {type: object, properties: {x: {type: integer}}}}}]
unevaluatedProperties: {type: object, properties: {u: {type: integer}}}
`, []string{`{"a":1,"b":{"x":2},"c":{"u":3}}`}},
		{"no unevaluated properties", `
type: object
properties: {kind: {type: string}}
oneOf: [{properties: {kind: {const: a}, x: {type: integer}}, required: [x]}, {properties: {kind: {const: b}, "y": {type: string}}, required: ["y"]}]
unevaluatedProperties: false
`, []string{`{"kind":"a","x":1}`, `{"kind":"b","y":"s"}`}},
		{"items of several schemas", `
type: object
properties:
  list: {allOf: [{type: array, items: {type: object, properties: {a: {type: integer}}}}, {items: {properties: {b: {type: integer}}}}], contains: {properties: {c: {type: string}}}}
  lists: {type: array, items: {type: array, items: {$ref: "#/$defs/one", properties: {two: {type: integer}}}}}
  tuple: {type: array, prefixItems: [{type: object, properties: {p: {}}}], items: {type: object, properties: {q: {}}}}
$defs: {one: {type: object, properties: {one: {type: integer}}}}
`, []string{`{"list":[{"a":1,"b":2,"c":"x"},{}],"lists":[[{"one":1,"two":2}],[]],"tuple":[{"p":1,"z":1},{"q":2,"z":2}]}`, `{"lists":[]}`}},
		{"definitions that require each other", `
type: object
properties: {a: {$ref: "#/$defs/a"}, self: {$ref: "#/$defs/self"}, maybe: {$ref: "#/$defs/maybe"}}
$defs:
  a: {type: object, required: [b], properties: {b: {$ref: "#/$defs/b"}}}
  b: {type: object, required: [c], properties: {c: {$ref: "#/$defs/c"}}}
  c: {type: object, required: [a], properties: {a: {$ref: "#/$defs/a"}}}
  self: {type: object, required: [self], properties: {self: {$ref: "#/$defs/self"}}}
  maybe: {type: object, required: [next], properties: {next: {oneOf: [{$ref: "#/$defs/maybe"}, {type: "null"}]}}}
`, []string{`{}`, `{"maybe":{"next":{"next":{"next":null}}}}`}},
		{"recursion through lists, maps, allOf and oneOf", `
type: object
required: [tree]
properties: {tree: {$ref: "#/$defs/tree"}}
$defs:
  tree:
    type: object
    required: [kids, byName, both]
    properties:
      kids: {type: array, items: {$ref: "#/$defs/tree"}}
      byName: {type: object, additionalProperties: {$ref: "#/$defs/tree"}}
      both: {oneOf: [{type: "null"}, {allOf: [{$ref: "#/$defs/tree"}, {required: [name], properties: {name: {type: string}, both: {properties: {deep: {type: integer}}}}}]}]}
  forest: {type: array, items: {$ref: "#/$defs/forest"}}
`, []string{`{"tree":{"kids":[{"kids":[],"byName":{},"both":null}],"byName":{"k":{"kids":[],"byName":{},"both":null}},"both":{"name":"n","kids":[],"byName":{},"both":{"name":"x","deep":1,"kids":[],"byName":{},"both":null}}}}`}},
		{"lists and maps of themselves", `
type: object
properties: {l: {type: array, items: {$ref: "#/properties/l"}}, m: {type: object, additionalProperties: {$ref: "#/properties/m"}}, d: {$ref: "#/$defs/d"}}
$defs: {d: {type: array, items: {$ref: "#/$defs/d"}}}
`, []string{`{"l":[[],[[]]],"m":{"a":{"b":{}}},"d":[[[]],[]]}`}},
		{"numbers", `
type: object
properties:
  any: true
  integer: {type: integer}
  small: {type: integer, minimum: 0, maximum: 100000}
  listed: {enum: [1, 2, 3]}
  number: {type: number}
  list: {type: array, items: {type: integer}}
  smalls: {type: object, additionalProperties: {type: integer, exclusiveMinimum: -10, exclusiveMaximum: 10}}
  either: {type: [integer, string]}
  named: {$ref: "#/$defs/n"}
  names: {type: array, items: {$ref: "#/$defs/i"}}
  nullable: {type: [number, "null"]}
$defs: {n: {type: number}, i: {type: [integer, "null"]}}
`, []string{`{"any":1.50,"integer":1.0,"small":1e2,"listed":2.0,"number":0.10,"list":[1e1,-0.0],"smalls":{"a":9.0},"either":12345678901234567890,"named":3,"names":[1.0,null],"nullable":1e-400}`,
			`{"any":[9007199254740993,{"x":1e400}],"integer":123456789012345678901234567890,"small":100000,"number":12345678901234567.25,"either":"1.0","nullable":null}`,
			`{"integer":-1e999,"number":1e999,"list":[9007199254740993,9223372036854775808]}`}},
		{"null, absent and empty", `
type: object
required: [r, rn, rl]
properties:
  r: {}
  rn: {type: [string, "null"]}
  rl: {type: [array, "null"], items: {type: [string, "null"]}}
  o: {type: [string, "null"]}
  ol: {type: [array, "null"], items: {type: integer}}
  om: {type: [object, "null"], additionalProperties: {type: [integer, "null"]}}
  os: {oneOf: [{type: object, properties: {x: {type: [integer, "null"]}}}, {type: "null"}]}
  ob: {type: [boolean, "null"]}
  oe: {enum: [a, b, null]}
  oa: true
  only: {type: "null"}
  ref: {anyOf: [{$ref: "#/$defs/d"}, {type: "null"}]}
$defs: {d: {type: string, format: date-time}}
`, []string{`{"r":null,"rn":null,"rl":null,"o":null,"ol":null,"om":null,"os":null,"ob":null,"oe":null,"oa":null,"only":null,"ref":null}`,
			`{"r":1,"rn":"","rl":[],"o":"","ol":[],"om":{},"os":{},"ob":false,"oe":"a","oa":"","ref":"2026-01-31T12:00:00Z"}`,
			`{"r":false,"rn":"x","rl":[null,"x"],"om":{"a":null},"os":{"x":null}}`, `{"r":[],"rn":"x","rl":[]}`}},
		{"formats", `
type: object
properties:
  dt: {type: string, format: date-time}
  dtb: {type: string, format: date-time, maxLength: 40}
  dts: {type: array, items: {type: string, format: date-time}}
  date: {type: string, format: date}
  time: {type: string, format: time}
  duration: {type: string, format: duration}
  uuid: {type: string, format: uuid}
  ip4: {type: string, format: ipv4}
  ip6: {type: string, format: ipv6}
  b: {type: string, contentEncoding: base64}
  c: {type: string, contentMediaType: application/json, contentSchema: {type: object, properties: {x: true}}}
  text: {type: string}
`, []string{`{"dt":"2016-12-31T23:59:60Z","dtb":"2026-01-31t12:00:00.000z","dts":["2026-01-31T12:00:00.1234567890123+23:59","2016-12-31T15:59:60.5-08:00","2026-01-31T12:00:00-00:00"],` +
			`"date":"2024-02-29","time":"23:59:60z","duration":"P1Y2M3DT4H5M6S","uuid":"0B9F7A64-3f7c-4e0f-9a52-5a0d1c5e8f11","ip4":"127.0.0.1","ip6":"::FFFF:1.2.3.4","b":"_-8=\n","c":"{\"x\":1}","text":"<&>\u2028\u0000\ud83d\ude00"}`}},
		{"values of several types", `
type: object
properties: {mixed: {enum: [1, "1", true, null, {a: 1}, [1]]}, words: {enum: [a, "A", ä]}, constant: {const: {a: [1, null]}}, "yes": {const: true}, form: {oneOf: [{type: string}, {type: array, items: {type: integer}}]}}
`, []string{`{"mixed":1.0,"words":"A","constant":{"a":[1.0,null]},"yes":true,"form":[1]}`, `{"mixed":{"a":1}}`, `{"mixed":"1","form":"x"}`, `{"mixed":null}`, `{"mixed":[1e0]}`}},
		{"names", `
type: object
properties: {e: {type: string}, E: {type: integer}, "-": {type: string}, "a,b": {type: integer}, "": {type: string}, "\"": true, 'a\b': {type: string}, UnmarshalJSON: {type: string}, Extra: {type: string}, k: true, "K": true, s: {type: integer}, event_type: true, EventType: true}
`, []string{`{"e":"x","E":1,"-":"y","a,b":2.0,"":"z","\"":null,"a\\b":"q","UnmarshalJSON":"u","Extra":"e","k":1,"\u212a":2,"s":5,"event_type":1,"EventType":2}`}},
		{"names that differ by case", `
type: object
additionalProperties: {type: integer}
properties: {amount: {type: string}, inner: {type: object, additionalProperties: true, properties: {id: {type: string}}}, list: {type: array, items: {type: object, additionalProperties: {}, properties: {s: {type: string}}}}}
`, []string{`{"amount":"x","AMOUNT":1,"Amount":2,"inner":{"id":"a","ID":7,"Id":null},"list":[{"s":"a","S":1,"\u017f":2}],"LIST":3}`}},
		{"required without properties", `{type: object, required: [a]}`, []string{`{"a":1,"b":{"c":2}}`}},
		{"no type", `{properties: {a: {type: integer}}, items: {type: string}}`, []string{`{"a":1}`, `["x"]`, `5`, `null`}},
		{"bounds by another schema", `
type: object
properties: {n: {$ref: "#/$defs/n", maximum: 5, minimum: 0}, m: {allOf: [{type: integer}, {minimum: 0}, {maximum: 9}]}}
$defs: {n: {type: integer, description: Of any size.}}
`, []string{`{"n":5.0,"m":9e0}`}},
	}
}

// What the schema lets pass comes back equal, members of all schemas included.
func TestShapes(t *testing.T) {
	t.Parallel()
	schemas := map[string]string{}
	for i, s := range shapes() {
		schemas[fmt.Sprintf("s%d", i)] = s.schema
	}
	reg, src := written(t, schemas)
	var lines bytes.Buffer
	var sent, names []string
	for i, s := range shapes() {
		typ := fmt.Sprintf("s%d", i)
		sch, ok := reg.Lookup(typ)
		if !ok {
			t.Errorf("%s: Load refuses it", s.name)
			continue
		}
		for _, v := range s.values {
			event := `{"v":` + v + `}`
			if err := sch.Validate([]byte(event)); err != nil {
				t.Errorf("%s: %s: %v", s.name, v, err)
				continue
			}
			fmt.Fprintln(&lines, typ, event)
			sent, names = append(sent, event), append(names, s.name)
		}
	}
	for i, got := range run(t, src, lines.Bytes()) {
		if strings.HasPrefix(got, "error") || !equal(t, sent[i], got) {
			t.Errorf("%s: %s\nbecame %s", names[i], sent[i], got)
		}
	}
}

// An event as a whole: the members that the server reads are let pass by the
// schema without being judged by it, and so by the type.
func TestEventsAsAWhole(t *testing.T) {
	t.Parallel()
	reg := load(t,
		"map.yaml", event("map", "{}", "additionalProperties: {type: integer}\n"),
		"others.yaml", event("others", "{}", "properties: {a: {type: string}}\nadditionalProperties: {type: integer}\n"),
		"patterns.yaml", event("patterns", "{}", "properties: {a: {type: string}, time: {type: string, format: date-time}}\npatternProperties: {'^t': {}, '^x': {type: boolean}}\nadditionalProperties: false\n"),
		"closed.yaml", event("closed", "{}", "properties: {a: {type: string}}\nadditionalProperties: false\n"),
		"open.yaml", event("open", "{}", "properties: {a: {type: string}, o: {type: object, properties: {b: {type: integer}}}}\n"),
	)
	src, err := gogen.File(reg, "events")
	if err != nil {
		t.Fatal(err)
	}
	const read = `"type":"T","id":"i","userId":"u","source":"s","time":"2026-01-31T12:00:00Z"`
	var lines bytes.Buffer
	var want []string
	for _, e := range [][3]string{
		{"map", `{` + read + `,"n":1.0}`, `{` + read + `,"n":1.0}`},
		{"others", `{` + read + `,"a":"x","A":5}`, `{` + read + `,"a":"x","A":5}`},
		{"patterns", `{` + read + `,"a":"x","x1":true}`, `{` + read + `,"a":"x","x1":true}`},
		{"closed", `{` + read + `,"a":"x"}`, `{"a":"x"}`},
		{"open", `{` + read + `,"a":"x","A":"y","\u0061b":1,"o":{"b":1,"B":2}}`, `{"a":"x","o":{"b":1}}`}, // nothing describes the rest
	} {
		s, _ := reg.Lookup(e[0])
		if err := s.Validate([]byte(e[1])); err != nil {
			t.Errorf("%s: %v", e[1], err)
		}
		fmt.Fprintln(&lines, e[0], e[1])
		want = append(want, e[2])
	}
	for i, got := range run(t, src, lines.Bytes()) {
		if strings.HasPrefix(got, "error") || !equal(t, want[i], got) {
			t.Errorf("%s\ngot  %s", want[i], got)
		}
	}
}

// What a schema refuses as no JSON of its own is refused by the types as well.
func TestTypesRefuse(t *testing.T) {
	t.Parallel()
	reg := load(t, "a.yaml", event("a", "{}", "properties: {a: {type: string}, o: {type: object, properties: {b: {}}}, l: {type: array, items: {type: object}}}\n"))
	src, err := gogen.File(reg, "events")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := reg.Lookup("a")
	var lines bytes.Buffer
	events := []string{`{"a":"x","a":"y"}`, `{"x":1,"x":2}`, `{"o":{"b":1,"b":2}}`, `{"o":{"x":{"y":1,"y":2}}}`, `{"l":[{"a":1,"\u0061":2}]}`, `{"a":"\ud800"}`, "{\"o\":{\"b\":\"\xff\"}}", "{\"\xc0\":1}"}
	for _, e := range events {
		if s.Validate([]byte(e)) == nil {
			t.Errorf("%q is valid", e)
		}
		fmt.Fprintln(&lines, "a", e)
	}
	for i, got := range run(t, src, lines.Bytes()) {
		if !strings.HasPrefix(got, "error") {
			t.Errorf("%q became %s", events[i], got)
		}
	}
}
