package schema_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"eventserver/app/schema"
	"eventserver/app/schema/evolve"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, old, new, want string }{
		{"the same", `properties: {a: {type: string}}`, `properties: {a: {type: string}}`, ""},
		{"annotations", `properties: {a: {type: string}}`, `title: t
properties: {a: {description: d, type: string, deprecated: true, default: 1, examples: [x], x-mine: 1}}`, ""},
		{"order", `required: [a, b]
properties: {a: {enum: [1, 2]}, b: {type: [string, "null"]}}`, `properties: {b: {type: ["null", string]}, a: {enum: [2, 1.0]}}
required: [b, a]`, ""},
		{"moved into a definition", `properties: {a: {type: string, maxLength: 3}}`, `properties: {a: {allOf: [{$ref: "#/$defs/s"}], maxLength: 3}}
$defs: {s: {type: string}}`, ""},

		// types
		{"type narrowed", `properties: {a: {type: [string, "null"]}}`, `properties: {a: {type: string}}`, `/properties/a/type: type narrowed: null, string -> string (breaking)`},
		{"type widened", `properties: {a: {type: string}}`, `properties: {a: {type: [string, integer]}}`, `/properties/a/type: type widened: string -> integer, string`},
		{"number to integer", `properties: {a: {type: number}}`, `properties: {a: {type: integer}}`, `/properties/a/type: type narrowed: number -> integer (breaking)`},
		{"integer to number", `properties: {a: {type: integer}}`, `properties: {a: {type: number}}`, `/properties/a/type: type widened: integer -> number`},
		{"another type", `properties: {a: {type: string, minLength: 1}}`, `properties: {a: {type: integer, minimum: 1}}`, `/properties/a/type: type narrowed: string -> integer (breaking)`},
		{"type added", `properties: {a: {}}`, `properties: {a: {type: string}}`, `/properties/a/type: type narrowed: anything -> string (breaking)`},
		{"type gone", `properties: {a: {type: string}}`, `properties: {a: true}`, `/properties/a/type: type widened: string -> anything`},
		{"nothing", `properties: {a: {type: string}}`, `properties: {a: false}`, `/properties/a: nothing allowed: no value is valid any more (breaking)`},
		{"something again", `properties: {a: false}`, `properties: {a: {type: string}}`, `/properties/a: allowed: no value was valid before`},

		// values
		{"enum narrowed", `properties: {a: {enum: [x, y, z]}}`, `properties: {a: {enum: [x, z]}}`, `/properties/a/enum: enum narrowed: one of "x", "y", "z" -> one of "x", "z" (breaking)`},
		{"enum widened", `properties: {a: {enum: [x]}}`, `properties: {a: {enum: [x, "y"]}}`, `/properties/a/enum: enum widened: also "y"`},
		{"enum narrowed and widened", `properties: {a: {enum: [x]}}`, `properties: {a: {enum: ["y"]}}`, `/properties/a/enum: enum narrowed: "x" -> "y" (breaking)`},
		{"enum added", `properties: {a: {type: string}}`, `properties: {a: {type: string, enum: [x]}}`, `/properties/a/enum: enum narrowed: any value was allowed before, now "x" (breaking)`},
		{"enum gone", `properties: {a: {type: string, enum: [x]}}`, `properties: {a: {type: string}}`, `/properties/a/enum: enum widened: any value is allowed now, before "x"`},
		{"enum of all there is", `properties: {a: {type: boolean}}`, `properties: {a: {type: boolean, enum: [true, false]}}`, ""},
		{"const changed", `properties: {a: {const: 1}}`, `properties: {a: {const: 2}}`, `/properties/a/const: const changed: 1 -> 2 (breaking)`},
		{"const in other words", `properties: {a: {const: 1}}`, `properties: {a: {enum: [1.0]}}`, ""},
		{"const added", `properties: {a: {type: integer}}`, `properties: {a: {type: integer, const: 2}}`, `/properties/a/const: const changed: any value was allowed before, now 2 (breaking)`},
		{"const to enum", `properties: {a: {const: 1}}`, `properties: {a: {enum: [1, 2]}}`, `/properties/a/enum: enum widened: also 2`},

		// bounds
		{"numbers tightened", `properties: {a: {type: number, minimum: 1, maximum: 10}, b: {type: number, minimum: 1}, c: {type: number}}`,
			`properties: {a: {type: number, minimum: 1.5, maximum: 9.99}, b: {type: number, exclusiveMinimum: 1}, c: {type: number, exclusiveMaximum: 5}}`, `/properties/a/minimum: bound tightened: 1 -> 1.5 (breaking)
/properties/a/maximum: bound tightened: 10 -> 9.99 (breaking)
/properties/b/minimum: bound tightened: 1 -> 1 exclusive (breaking)
/properties/c/maximum: bound tightened: none -> 5 exclusive (breaking)`},
		{"numbers loosened", `properties: {a: {type: number, minimum: 1}, b: {type: number, exclusiveMinimum: 1}, c: {type: number, maximum: 5}}`,
			`properties: {a: {type: number, minimum: 0}, b: {type: number, minimum: 1}, c: {type: number}}`, `/properties/a/minimum: bound loosened: 1 -> 0
/properties/b/minimum: bound loosened: 1 exclusive -> 1
/properties/c/maximum: bound loosened: 5 -> none`},
		{"numbers that float64 cannot tell apart", `properties: {a: {type: integer, maximum: 9007199254740993}}`, `properties: {a: {type: integer, maximum: 9007199254740992}}`, `/properties/a/maximum: bound tightened: 9007199254740993 -> 9007199254740992 (breaking)`},
		{"sizes tightened", `properties: {a: {type: string, minLength: 1}, b: {type: array, maxItems: 5}, c: {type: object}}`,
			`properties: {a: {type: string, minLength: 2, maxLength: 9}, b: {type: array, maxItems: 4, uniqueItems: true}, c: {type: object, minProperties: 1}}`, `/properties/a/minLength: bound tightened: 1 -> 2 (breaking)
/properties/a/maxLength: bound tightened: none -> 9 (breaking)
/properties/b/maxItems: bound tightened: 5 -> 4 (breaking)
/properties/b/uniqueItems: bound tightened: items may not be equal any more (breaking)
/properties/c/minProperties: bound tightened: none -> 1 (breaking)`},
		{"sizes loosened", `properties: {a: {type: string, minLength: 2}, b: {type: array, uniqueItems: true}}`, `properties: {a: {type: string, minLength: 0}, b: {type: array}}`, `/properties/a/minLength: bound loosened: 2 -> none
/properties/b/uniqueItems: bound loosened: items may be equal now`},
		{"minLength 0 says nothing", `properties: {a: {type: string}}`, `properties: {a: {type: string, minLength: 0}}`, ""},
		{"multiples", `properties: {a: {type: integer, multipleOf: 2}, b: {type: integer, multipleOf: 4}, c: {type: integer}}`,
			`properties: {a: {type: integer, multipleOf: 4}, b: {type: integer, multipleOf: 2}, c: {type: integer, multipleOf: 3}}`, `/properties/a/multipleOf: bound tightened: 2 -> 4 (breaking)
/properties/b/multipleOf: bound loosened: 4 -> 2
/properties/c/multipleOf: bound tightened: none -> 3 (breaking)`},
		{"texts", `properties: {a: {type: string}, b: {type: string, pattern: x}, c: {type: string, pattern: x}, d: {type: string}, e: {type: string, format: date}, f: {type: string, format: date}}`,
			`properties: {a: {type: string, pattern: x}, b: {type: string, pattern: "y"}, c: {type: string}, d: {type: string, format: date}, e: {type: string, format: time}, f: {type: string}}`, `/properties/a/pattern: pattern added: none -> x (breaking)
/properties/b/pattern: pattern changed: x -> y (breaking)
/properties/c/pattern: pattern removed: x -> none
/properties/d/format: format added: none -> date (breaking)
/properties/e/format: format changed: date -> time (breaking)
/properties/f/format: format removed: date -> none`},
		{"a bound of another type", `properties: {a: {type: integer}}`, `properties: {a: {type: [integer, string], maxLength: 3}}`, `/properties/a/type: type widened: integer -> integer, string`},

		// objects
		{"optional property, closed", `additionalProperties: false`, `additionalProperties: false
properties: {a: {type: string}}`, `/properties/a: property added`},
		{"optional property, open", `required: []`, `properties: {a: {type: string}, b: true}`, `/properties/a: property added: the schema allowed any such member before; now: type narrowed: anything -> string (breaking)
/properties/b: property added`},
		{"property removed", `properties: {a: {type: string}}`, `additionalProperties: true`, `/properties/a: property removed: consumers lose it (breaking)`},
		{"property renamed", `required: [a]
properties: {a: {type: string}}`, `required: [b]
properties: {b: {type: string}}`, `/properties/b: required added: the property is new, and required (breaking)
/properties/a: property removed: consumers lose it (breaking)`},
		{"required added", `properties: {a: {type: string}}`, `required: [a, b]
properties: {a: {type: string}}`, `/properties/a: required added: it was optional before (breaking)
/required: required added: "b" was optional before (breaking)`},
		{"required removed", `required: [a, b]
properties: {a: {type: string}}`, `properties: {a: {type: string}}`, `/properties/a: required removed: consumers had it in every event (breaking)
/required: required removed: consumers had "b" in every event (breaking)`},
		{"closed", `properties: {a: {type: object}}`, `additionalProperties: false
properties: {a: {type: object, additionalProperties: false}}`, `/properties/a/additionalProperties: additionalProperties closed: members that are not declared are refused now (breaking)
/additionalProperties: additionalProperties closed: members that are not declared are refused now (breaking)`},
		{"opened", `additionalProperties: false`, `additionalProperties: {type: string}`, `/additionalProperties: additionalProperties opened: members that are not declared are allowed now`},
		{"other members", `additionalProperties: {type: [string, integer]}`, `additionalProperties: {type: string}`, `/additionalProperties/type: type narrowed: integer, string -> string (breaking)`},
		{"of the envelope, named now", `additionalProperties: false`, `additionalProperties: false
properties: {userId: {type: string, maxLength: 5}}`, `/properties/userId: property added: the schema allowed any such member before; now: type narrowed: anything -> string (breaking)`},

		// arrays
		{"items", `properties: {a: {type: array, items: {type: [string, integer]}}}`, `properties: {a: {type: array, items: {type: string}}}`, `/properties/a/items/type: type narrowed: integer, string -> string (breaking)`},
		{"items closed", `properties: {a: {type: array}}`, `properties: {a: {type: array, items: false}}`, `/properties/a/items: nothing allowed: no value is valid any more (breaking)`},

		// $ref
		{"behind refs", `properties: {a: {$ref: "#/$defs/m"}, b: {$ref: "#/$defs/m"}}
$defs: {m: {type: object, properties: {c: {type: string}}}}`, `properties: {a: {$ref: "#/$defs/n"}, b: {type: object, properties: {c: {type: string}}}}
$defs: {n: {type: object, required: [c], properties: {c: {type: string}}}}`, `/properties/a/properties/c: required added: it was optional before (breaking)`},
		{"recursion", `properties: {t: {$ref: "#/$defs/t"}}
$defs: {t: {type: object, properties: {next: {$ref: "#/$defs/t"}, n: {type: integer}}}}`, `properties: {t: {$ref: "#/$defs/t"}}
$defs: {t: {type: object, properties: {next: {$ref: "#/$defs/t"}, n: {type: integer, minimum: 0}}}}`, `/properties/t/properties/next/properties/n/minimum: bound tightened: none -> 0 (breaking)
/properties/t/properties/n/minimum: bound tightened: none -> 0 (breaking)`},

		// what cannot be decided
		{"opaque changed", `anyOf: [{required: [a]}]
not: {required: [b]}
properties: {a: {type: array, prefixItems: [true]}}`, `anyOf: [{required: [a]}, {required: [b]}]
not: {required: [c]}
properties: {a: {type: array, prefixItems: [false]}}`, `/properties/a/prefixItems: cannot be compared: prefixItems has changed; whether that breaks cannot be told (breaking)
/anyOf: cannot be compared: anyOf has changed; whether that breaks cannot be told (breaking)
/not: cannot be compared: not has changed; whether that breaks cannot be told (breaking)`},
		{"opaque the same", `anyOf: [{required: [a], title: t}]
if: {properties: {a: {const: 1}}}
then: {$ref: "#/$defs/x"}
$defs: {x: {required: [b]}}
patternProperties: {^x: {type: string}}
dependentRequired: {a: [b]}`, `anyOf: [{required: [a]}]
if: {properties: {a: {enum: [1.0]}}}
then: {required: [b]}
patternProperties: {^x: {type: string, description: d}}
dependentRequired: {a: [b]}`, ""},
		{"opaque added and gone", `oneOf: [true]
propertyNames: {maxLength: 3}`, `patternProperties: {^x: false}
unevaluatedProperties: false`, `/patternProperties: cannot be compared: patternProperties is new; whether that breaks cannot be told (breaking)
/propertyNames: cannot be compared: propertyNames is gone; whether that breaks cannot be told (breaking)
/unevaluatedProperties: cannot be compared: unevaluatedProperties is new; whether that breaks cannot be told (breaking)
/oneOf: cannot be compared: oneOf is gone; whether that breaks cannot be told (breaking)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := changesOf(schema.One(t, tt.old), schema.One(t, tt.new)); got != tt.want {
				t.Errorf("\ngot:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

// changesOf are the lines of a diff without what every one of them has.
func changesOf(o, n *schema.Schema) string {
	var lines []string
	for _, c := range evolve.Diff(schema.RegistryOf(o), schema.RegistryOf(n)) {
		if c.Type != "x" || c.Allowed == c.Breaking {
			panic(fmt.Sprintf("%+v", c))
		}
		if c.Kind != evolve.KindVersionNotRaised {
			lines = append(lines, strings.TrimPrefix(c.String(), "x: "))
		}
	}
	return strings.Join(lines, "\n")
}

func TestDiffVersions(t *testing.T) {
	t.Parallel()
	version := func(typ string, n int, key, keywords string) *schema.Schema {
		s := schema.One(t, keywords)
		s.Type, s.Version, s.KeyPointer = typ, n, key
		return s
	}
	old := schema.RegistryOf(
		version("a", 1, "/a", `properties: {a: {type: string}}`), version("b", 1, "", `required: [a, b]`), version("c", 1, "", `required: [a]`),
		version("d", 3, "", ``), version("gone", 1, "", ``), version("same", 1, "", ``),
	)
	new := schema.RegistryOf(
		version("a", 1, "/b", `properties: {a: {type: string}}`), version("b", 1, "", ``), version("c", 2, "", ``),
		version("d", 2, "", ``), version("new", 1, "", ``), version("same", 2, "", ``),
	)
	var lines []string
	allowed := map[string]bool{}
	for _, c := range evolve.Diff(old, new) {
		lines = append(lines, c.String())
		allowed[c.Type+" "+c.Kind] = c.Allowed
	}
	want := `a: /x-event/version: version not raised: breaking changes: 1; raise the version to 2 (breaking)
a: /x-event/key: key changed: "/a" -> "/b"; events of one key would lose their order (breaking)
b: /x-event/version: version not raised: breaking changes: 2; raise the version to 2 (breaking)
b: /required: required removed: consumers had "a" in every event (breaking)
b: /required: required removed: consumers had "b" in every event (breaking)
c: /required: required removed: consumers had "a" in every event (breaking, allowed by the higher version)
d: /x-event/version: version not raised: version went from 3 to 2; raise it to 4 (breaking)
gone: type removed: consumers lose these events; keep the file, with deprecated: true (breaking)
new: type added: version 1`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("\ngot:\n%s\nwant:\n%s", got, want)
	}
	for _, is := range []string{"c required removed", "new type added"} {
		if !allowed[is] {
			t.Error("not allowed:", is)
		}
	}
	if allowed["b required removed"] || allowed["gone type removed"] || allowed["d version not raised"] {
		t.Error(allowed)
	}
	if got := evolve.Diff(nil, new); len(got) != 6 || got[0].Kind != evolve.KindTypeAdded {
		t.Error(got)
	}
	if got := evolve.Diff(nil, nil); got != nil {
		t.Error(got)
	}
}

// Definitions that use the next one twice double with each level, and schemas that
// share nothing have more changes than anybody reads.
func TestDiffEnds(t *testing.T) {
	t.Parallel()
	chain := func(end string) *schema.Schema {
		var b strings.Builder
		b.WriteString("properties: {a: {$ref: \"#/$defs/d0\"}}\n$defs:\n")
		for i := range 40 {
			fmt.Fprintf(&b, "  d%d: {type: object, properties: {l: {$ref: \"#/$defs/d%d\"}, r: {$ref: \"#/$defs/d%d\"}}}\n", i, i+1, i+1)
		}
		b.WriteString("  d40: {type: " + end + "}\n")
		return schema.One(t, b.String())
	}
	if got := evolve.Diff(schema.RegistryOf(chain("string")), schema.RegistryOf(chain("string"))); got != nil {
		t.Error(got)
	}
	got := evolve.Diff(schema.RegistryOf(chain("string")), schema.RegistryOf(chain("integer")))
	if last := got[len(got)-1]; len(got) > 1000+2 || last.Kind != evolve.KindCannotBeCompared || last.Detail != "there are too many changes to list; compare the files by eye" {
		t.Errorf("%d changes, the last %v", len(got), last)
	}
}

// What was valid stays valid when Diff reports nothing that breaks, and nothing
// changes at all when it reports nothing.
func TestDiffIsSound(t *testing.T) {
	t.Parallel()
	compared := 0
	rapid.Check(t, func(rt *rapid.T) {
		doc := schema.AnySchema(rt, 2)
		old, new := schema.FromJSON(t, doc), schema.FromJSON(t, schema.Changed(rt, doc, 2))
		changes := evolve.Diff(schema.RegistryOf(old), schema.RegistryOf(new))
		for _, c := range changes {
			if c.Breaking {
				return
			}
		}
		compared++
		for range 30 {
			data, err := json.Marshal(schema.AnyValue(rt, 2))
			if err != nil {
				rt.Fatal(err)
			}
			was, is := schema.ViolationOf(t, old, data), schema.ViolationOf(t, new, data)
			if was == nil && is != nil || len(changes) == 0 && (was == nil) != (is == nil) {
				o, _ := old.Bundle()
				n, _ := new.Bundle()
				rt.Fatalf("%s\nold %s: %v\nnew %s: %v\nchanges %v", data, o, was, n, is, changes)
			}
		}
	})
	if compared == 0 {
		t.Error("no pair without a breaking change was drawn")
	}
	t.Log(compared, "pairs without a breaking change")
}
