package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"eventserver/app/textfile"
)

// files makes a directory of name, content pairs.
func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

const (
	head  = "x-event: {type: a.b, version: 1}\ndescription: Something happened.\ntype: object\n"
	tail  = "examples: [{}]\n"
	other = "x-event: {type: c.d, version: 1}\ndescription: Something happened.\ntype: object\n" + tail
)

func TestLoadFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		files fstest.MapFS
		want  string // FILE stands for schemas/a.yaml
	}{
		// the file
		{"empty", files("a.yaml", ""), `schemas/a.yaml: is empty; write a schema, or delete the file`},
		{"empty document", files("a.yaml", "---\n"), `schemas/a.yaml: is empty; write a schema, or delete the file`},
		{"syntax", files("a.yaml", head+"properties: {a: [}\n"), `schemas/a.yaml:4: is not YAML, or the line before is not; check the indentation (spaces, no tabs) and the brackets, and quote values with ": " or " #" inside or one of @ & * ! % | > { [ in front`},
		{"tab", files("a.yaml", "type:\n\tobject\n"), `schemas/a.yaml:2: is not YAML: it is indented with a tab; indent with spaces`},
		{"control character", files("a.yaml", head+"title: \x00\n"), `schemas/a.yaml:4: is not YAML: it has a control character, or is not UTF-8; delete the character, or save the file as UTF-8`},
		{"not UTF-8", files("a.yaml", head+"title: \xff\n"), `schemas/a.yaml:4: is not YAML: it has a control character, or is not UTF-8; delete the character, or save the file as UTF-8`},
		{"second document", files("a.yaml", head+tail+"---\na: 1\n"), `schemas/a.yaml:5: a second YAML document starts here; give it its own file, and delete this --- line`},
		{"list", files("a.yaml", "- a\n"), `schemas/a.yaml:1: is not a mapping; write lines of key: value, beginning with x-event`},
		{"text", files("a.yaml", "a\n"), `schemas/a.yaml:1: is not a mapping; write lines of key: value, beginning with x-event`},
		{"too large", files("a.yaml", strings.Repeat("#", textfile.MaxBytes+1)), `schemas/a.yaml: is larger than 1MiB; give each type its own file, and large definitions too`},
		{"duplicate keys", files("a.yaml", head+tail+"type: object\nproperties:\n  a: {type: string, type: integer}\n"), `schemas/a.yaml:5: /type: duplicate key, first given on line 3; delete one
schemas/a.yaml:7: /properties/a/type: duplicate key, first given on line 7; delete one`},
		{"no JSON", files("a.yaml", head+tail+"properties:\n  a: {const: .nan}\n  b: {const: -.inf}\n  c: {const: 0x1F}\n  d: {const: 1_000}\n"+
			"  e: {const: +1}\n  f: {const: 2026-01-31}\n  g: {const: True}\n  h: {const: !!binary aGk=}\n  i: {const: .5}\n  j: {const: 012}\n  k: {const: 1e9999}\n"), `schemas/a.yaml:6: /properties/a/const: ".nan" is a number that JSON does not write so, or not at all; write digits, or put it in quotes if a text is meant
schemas/a.yaml:7: /properties/b/const: "-.inf" is a number that JSON does not write so, or not at all; write digits, or put it in quotes if a text is meant
schemas/a.yaml:8: /properties/c/const: "0x1F" is a number that JSON does not write so; write 31, or put it in quotes if a text is meant
schemas/a.yaml:9: /properties/d/const: "1_000" is a number that JSON does not write so; write 1000, or put it in quotes if a text is meant
schemas/a.yaml:10: /properties/e/const: "+1" is a number that JSON does not write so; write 1, or put it in quotes if a text is meant
schemas/a.yaml:11: /properties/f/const: "2026-01-31" is a date to YAML, which JSON has not; put it in quotes
schemas/a.yaml:12: /properties/g/const: "True" is a boolean to some readers of YAML; write true or false, or put it in quotes
schemas/a.yaml:13: /properties/h/const: has a YAML tag (!name), which JSON has not; delete it, or quote a text that starts with !
schemas/a.yaml:14: /properties/i/const: ".5" is a number that JSON does not write so, or not at all; write digits, or put it in quotes if a text is meant
schemas/a.yaml:15: /properties/j/const: "012" is a number that JSON does not write so; write 10, or put it in quotes if a text is meant
schemas/a.yaml:16: /properties/k/const: is a number of too many digits; write at most 1000 digits and an exponent between -1000 and 1000`},
		{"names that are no text", files("a.yaml", head+tail+"properties:\n  200: true\n  null: true\n  true: true\n  [a]: true\n  1.5: true\n"), `schemas/a.yaml:6: /properties/200: the name "200" is not a text to YAML; put it in quotes
schemas/a.yaml:7: /properties/null: the name "null" is not a text to YAML; put it in quotes
schemas/a.yaml:8: /properties/true: the name "true" is not a text to YAML; put it in quotes
schemas/a.yaml:9: /properties: has a name that is not a text; write a word before the colon
schemas/a.yaml:10: /properties/1.5: the name "1.5" is not a text to YAML; put it in quotes`},
		{"merge key", files("a.yaml", head+tail+"$defs: &d {a: true}\nproperties:\n  <<: *d\n"), `schemas/a.yaml:7: /properties: has a merge key (<<), which JSON Schema has not; use allOf with $ref`},
		{"alias of itself", files("a.yaml", head+tail+"$defs: &d\n  a: *d\n"), `schemas/a.yaml:6: /$defs/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a: is nested more than 100 levels deep, or an alias holds itself; use $ref and $defs`},
		{"alias of nothing", files("a.yaml", head+tail+"title: *d\n"), `schemas/a.yaml:5: an alias (*name) has no anchor (&name) above it; write the anchor, or quote a value that starts with *`},
		{"bomb", files("a.yaml", head+tail+bomb()), `schemas/a.yaml:5: /x-4/3/3/8/8/1: the file stands for more than 50000 values, those behind aliases included; use fewer`},
		{"deep", files("a.yaml", head+tail+"const: "+strings.Repeat("[", 150)+strings.Repeat("]", 150)+"\n"), `schemas/a.yaml:5: /const/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0: is nested more than 100 levels deep, or an alias holds itself; use $ref and $defs`},

		// x-event
		{"nothing of an event", files("a.yaml", "type: object\n"), `schemas/a.yaml:1: /x-event: missing; write "x-event: {type: order.placed, version: 1}" at the top, or begin the file's name with _ if it holds shared definitions
schemas/a.yaml:1: /description: missing; say in a sentence what happened when this event is sent
schemas/a.yaml:1: /examples: missing; give a list with at least one event, as it is posted`},
		{"x-event text", files("a.yaml", "x-event: a.b\ndescription: d\ntype: object\n"+tail), `schemas/a.yaml:1: /x-event: is not a mapping; write {type: order.placed, version: 1}`},
		{"x-event empty", files("a.yaml", "x-event: {}\ndescription: d\ntype: object\n"+tail), `schemas/a.yaml:1: /x-event/type: missing; name the type, such as order.placed
schemas/a.yaml:1: /x-event/version: missing; write version: 1`},
		{"x-event unknown", files("a.yaml", "x-event: {type: a.b, version: 1, keys: /a}\ndescription: d\ntype: object\n"+tail), `schemas/a.yaml:1: /x-event/keys: unknown; x-event has type, version and key`},
		{"bad type", files("a.yaml", "x-event: {type: a/b, version: 1}\ndescription: d\ntype: object\n"+tail), `schemas/a.yaml:1: /x-event/type: is no name of a type; write letters, digits, dots, _ and -, at most 100, the first a letter or digit, such as order.placed`},
		{"type number", files("a.yaml", "x-event: {type: 12, version: 1}\ndescription: d\ntype: object\n"+tail), `schemas/a.yaml:1: /x-event/type: is no name of a type; write letters, digits, dots, _ and -, at most 100, the first a letter or digit, such as order.placed`},
		{"version 0", files("a.yaml", "x-event: {type: a.b, version: 0}\ndescription: d\ntype: object\n"+tail), `schemas/a.yaml:1: /x-event/version: is not a whole number from 1; write 1, and one more for each change that breaks`},
		{"version text", files("a.yaml", "x-event: {type: a.b, version: \"1\"}\ndescription: d\ntype: object\n"+tail), `schemas/a.yaml:1: /x-event/version: is not a whole number from 1; write 1, and one more for each change that breaks`},
		{"version fraction", files("a.yaml", "x-event: {type: a.b, version: 1.0}\ndescription: d\ntype: object\n"+tail), `schemas/a.yaml:1: /x-event/version: is not a whole number from 1; write 1, and one more for each change that breaks`},
		{"bad key", files("a.yaml", "x-event: {type: a.b, version: 1, key: a}\ndescription: d\ntype: object\n"+tail), `schemas/a.yaml:1: /x-event/key: is no JSON pointer to a member; write one such as /customerId`},
		{"bad escape in key", files("a.yaml", "x-event: {type: a.b, version: 1, key: /a~2}\ndescription: d\ntype: object\n"+tail), `schemas/a.yaml:1: /x-event/key: is no JSON pointer to a member; write one such as /customerId`},
		{"key of everything", files("a.yaml", "x-event: {type: a.b, version: 1, key: \"\"}\ndescription: d\ntype: object\n"+tail), `schemas/a.yaml:1: /x-event/key: is no JSON pointer to a member; write one such as /customerId`},
		{"key not declared", files("a.yaml", "x-event: {type: a.b, version: 1, key: /a/b}\ndescription: d\ntype: object\nproperties: {a: {type: object}}\n"+tail), `schemas/a.yaml:1: /x-event/key: "/a/b" is declared nowhere; put it under properties, or correct the pointer`},
		{"key of a wrong type", files("a.yaml", "x-event: {type: a.b, version: 1, key: /a}\ndescription: d\ntype: object\nproperties: {a: {type: boolean}}\n"+tail), `schemas/a.yaml:1: /x-event/key: "/a" can be no key by its type; point to a string or an integer`},
		{"key object", files("a.yaml", "x-event: {type: a.b, version: 1, key: /a}\ndescription: d\ntype: object\nproperties: {a: {type: [object, \"null\"]}}\n"+tail), `schemas/a.yaml:1: /x-event/key: "/a" can be no key by its type; point to a string or an integer`},
		{"same type twice", files("a.yaml", head+tail, "b.yaml", head+tail, "c/d.yml", other), `schemas/b.yaml:1: /x-event/type: a.b is also the type of schemas/a.yaml; one file holds one type, so delete one of them`},
		{"x-event in shared definitions", files("_a.yaml", head+tail, "_s/b.yaml", other), `schemas/_a.yaml:1: /x-event: is in a file of shared definitions; take the _ off its name, or delete this
schemas/_s/b.yaml:1: /x-event: is in a file of shared definitions; take the _ off its name, or delete this`},

		// description and examples
		{"no description, no examples", files("a.yaml", "x-event: {type: a.b, version: 1}\ntype: object\n"), `schemas/a.yaml:1: /description: missing; say in a sentence what happened when this event is sent
schemas/a.yaml:1: /examples: missing; give a list with at least one event, as it is posted`},
		{"both empty", files("a.yaml", "x-event: {type: a.b, version: 1}\ntype: object\ndescription: \" \"\nexamples: []\n"), `schemas/a.yaml:3: /description: missing; say in a sentence what happened when this event is sent
schemas/a.yaml:4: /examples: missing; give a list with at least one event, as it is posted`},
		{"both wrong", files("a.yaml", "x-event: {type: a.b, version: 1}\ntype: object\ndescription: 1\nexamples: {}\n"), `schemas/a.yaml:3: /description: is not JSON Schema 2020-12: must be a string but is an integer
schemas/a.yaml:4: /examples: is not JSON Schema 2020-12: must be an array but is an object`},
		{"bad examples", files("a.yaml", "x-event: {type: a.b, version: 1, key: /a}\ndescription: d\ntype: object\nproperties:\n  a: {type: string, maxLength: 3}\nrequired: [a]\n"+
			"examples:\n  - {a: x}\n  - {a: long, b: 1}\n  - {}\n  - a: \"\"\n  - 1\n"), `schemas/a.yaml:9: /examples/1: breaks the schema: /a: maxLength: must have at most 3 characters but has 4; correct the example or the schema
schemas/a.yaml:10: /examples/2: breaks the schema: required: "a" is missing; correct the example or the schema
schemas/a.yaml:11: /examples/3: breaks the schema: /a: x-event.key: must not be empty; correct the example or the schema
schemas/a.yaml:12: /examples/4: breaks the schema: type: must be an object but is an integer; correct the example or the schema`},
		{"example without key", files("a.yaml", "x-event: {type: a.b, version: 1, key: /a}\ndescription: d\ntype: object\nproperties: {a: {type: string}}\n"+tail), `schemas/a.yaml:5: /examples/0: breaks the schema: /a: x-event.key: is missing; the ordering key is needed; correct the example or the schema`},

		// JSON Schema
		{"metaschema", files("a.yaml", head+tail+"properties:\n  a: {type: strin}\n  b: {type: [string, string]}\n  c: {minimum: \"1\"}\n  d: {minLength: -1}\n"+
			"  e: {required: a}\n  f: {enum: 1}\n  g: {pattern: 1}\n  h: 1\n  i: {allOf: []}\n  j: {multipleOf: 0}\n  k: {uniqueItems: 1}\n  l: {type: }\n"), `schemas/a.yaml:6: /properties/a/type: is not JSON Schema 2020-12: must be one of array, boolean, integer, "null", number, object, string, or a list of these, each once; quote "null": without quotes YAML takes it for no value
schemas/a.yaml:7: /properties/b/type: is not JSON Schema 2020-12: must be one of array, boolean, integer, "null", number, object, string, or a list of these, each once; quote "null": without quotes YAML takes it for no value
schemas/a.yaml:8: /properties/c/minimum: is not JSON Schema 2020-12: must be a number but is a string
schemas/a.yaml:9: /properties/d/minLength: is not JSON Schema 2020-12: must be >= 0 but is -1
schemas/a.yaml:10: /properties/e/required: is not JSON Schema 2020-12: must be an array but is a string
schemas/a.yaml:11: /properties/f/enum: is not JSON Schema 2020-12: must be an array but is an integer
schemas/a.yaml:12: /properties/g/pattern: is not JSON Schema 2020-12: must be a string but is an integer
schemas/a.yaml:13: /properties/h: is not JSON Schema 2020-12: must be a boolean or an object but is an integer
schemas/a.yaml:14: /properties/i/allOf: is not JSON Schema 2020-12: must have at least 1 item but has 0
schemas/a.yaml:15: /properties/j/multipleOf: is not JSON Schema 2020-12: must be > 0 but is 0
schemas/a.yaml:16: /properties/k/uniqueItems: is not JSON Schema 2020-12: must be a boolean but is an integer
schemas/a.yaml:17: /properties/l/type: is not JSON Schema 2020-12: must be one of array, boolean, integer, "null", number, object, string, or a list of these, each once; quote "null": without quotes YAML takes it for no value`},
		{"no object", files("a.yaml", "x-event: {type: a.b, version: 1}\ndescription: d\ntype: [object, string]\n"+tail), `schemas/a.yaml:3: /type: missing or not object; an event is a JSON object, so write type: object`},
		{"unknown keywords", files("a.yaml", head+tail+"requierd: [a]\nproperties:\n  a: {minlength: 1, x-mine: 1, whatever: 1}\n"), `schemas/a.yaml:5: /requierd: "requierd" is no keyword of JSON Schema, so it would be ignored; did you mean required?
schemas/a.yaml:7: /properties/a/minlength: "minlength" is no keyword of JSON Schema, so it would be ignored; did you mean minLength?
schemas/a.yaml:7: /properties/a/whatever: "whatever" is no keyword of JSON Schema, so it would be ignored; begin a name of your own with x-, or put a property under properties`},
		{"other drafts", files("a.yaml", head+tail+"$schema: http://json-schema.org/draft-07/schema#\n$id: https://example.com/a\ndefinitions: {}\n"+
			"dependencies: {}\n$dynamicRef: \"#a\"\nproperties: {a: {$schema: https://json-schema.org/draft/2020-12/schema}}\n"), `schemas/a.yaml:5: /$schema: is another draft than 2020-12; write https://json-schema.org/draft/2020-12/schema, or delete it
schemas/a.yaml:6: /$id: is not used here, because files refer to each other by path; delete it
schemas/a.yaml:7: /definitions: is a keyword of draft 7; write $defs
schemas/a.yaml:8: /dependencies: is a keyword of draft 7; write dependentRequired or dependentSchemas
schemas/a.yaml:9: /$dynamicRef: is not used here; use $ref
schemas/a.yaml:10: /properties/a/$schema: is of the top of a file only; delete it`},
		{"unknown format", files("a.yaml", head+tail+"properties:\n  a: {format: datetime}\n  b: {format: phone}\n"), `schemas/a.yaml:6: /properties/a/format: "datetime" is not a format that is checked; did you mean date-time?
schemas/a.yaml:7: /properties/b/format: "phone" is not a format that is checked; known are date, date-time, duration, email, hostname, ipv4, ipv6, iri, iri-reference, json-pointer, regex, relative-json-pointer, time, uri, uri-reference, uri-template, uuid`},
		{"patterns", files("a.yaml", head+tail+"properties:\n  a: {pattern: \"(a\"}\n  b: {pattern: \"(?=a)\"}\npatternProperties: {\"[\": true}\n"), `schemas/a.yaml:6: /properties/a/pattern: "(a" is no regular expression of Go (RE2): missing closing ) "(a"; it has no (?=, (?! or backreferences
schemas/a.yaml:7: /properties/b/pattern: "(?=a)" is no regular expression of Go (RE2): invalid or unsupported Perl syntax "(?="; it has no (?=, (?! or backreferences
schemas/a.yaml:8: /patternProperties/[: "[" is no regular expression of Go (RE2): missing closing ] "["; it has no (?=, (?! or backreferences`},
		{"huge counts", files("a.yaml", head+tail+"properties:\n  a: {maxLength: 9007199254740993}\n  b: {maxItems: 100000000000000000000000}\n"), `schemas/a.yaml:6: /properties/a/maxLength: is too large; write a smaller number, or delete it
schemas/a.yaml:7: /properties/b/maxItems: is too large; write a smaller number, or delete it`},
		{"anchor twice", files("a.yaml", head+tail+"$defs:\n  a: {$anchor: x}\n  b: {$anchor: x}\n"), `schemas/a.yaml:7: /$defs/b/$anchor: "x" is also the anchor of /$defs/a; give each its own`},
		{"endless ref", files("a.yaml", head+tail+"$ref: \"#\"\nproperties:\n  ok: {$ref: \"#\"}\n  a: {$ref: \"#/$defs/b\"}\n$defs:\n  b: {allOf: [true, {$ref: \"_c.yaml\"}]}\n", "_c.yaml", "$ref: \"a.yaml#/$defs/b\"\n"), `schemas/a.yaml:5: /$ref: "#" leads back to itself; refer from a property or an item instead, or delete it
schemas/a.yaml:10: /$defs/b/allOf/1/$ref: "_c.yaml" leads back to itself; refer from a property or an item instead, or delete it`},
		{"endless ref into a part", files("_c.yaml", "$ref: \"a.yaml#/$defs/b/allOf/1\"\n", "a.yaml", head+tail+"$defs:\n  b: {allOf: [true, {$ref: \"#/$defs/b\"}]}\n"),
			`schemas/a.yaml:6: /$defs/b/allOf/1: leads back to itself; refer from a property or an item instead, or delete it`},

		// $ref
		{"refs", files("_c.yaml", "$defs: {m: {type: integer}}\n", "a.yaml", head+tail+"properties:\n"+
			"  a: {$ref: \"#/$defs/x\"}\n  b: {$ref: \"_d.yaml#/$defs/m\"}\n  c: {$ref: \"_c.yaml#/$defs/x\"}\n  d: {$ref: \"_c.yaml#/type\"}\n"+
			"  e: {$ref: \"#nowhere\"}\n  f: {$ref: \"%zz\"}\n  g: {$ref: 1}\n"), `schemas/a.yaml:6: /properties/a/$ref: "#/$defs/x": a.yaml has no schema at "#/$defs/x"; name one, such as #/$defs/money
schemas/a.yaml:7: /properties/b/$ref: "_d.yaml#/$defs/m" names no schema file; did you mean _c.yaml?
schemas/a.yaml:8: /properties/c/$ref: "_c.yaml#/$defs/x": _c.yaml has no schema at "#/$defs/x"; name one, such as #/$defs/money
schemas/a.yaml:9: /properties/d/$ref: "_c.yaml#/type": _c.yaml has no schema at "#/type"; name one, such as #/$defs/money
schemas/a.yaml:10: /properties/e/$ref: "#nowhere": a.yaml has no schema at "#nowhere"; name one, such as #/$defs/money
schemas/a.yaml:11: /properties/f/$ref: "%zz" is no reference; write one such as "#/$defs/money" or "_common.yaml#/$defs/money"
schemas/a.yaml:12: /properties/g/$ref: is not JSON Schema 2020-12: must be a string but is an integer`},
		{"refs that leave", files("a.yaml", head+tail+"properties:\n  a: {$ref: \"../a.yaml\"}\n  b: {$ref: \"/etc/passwd\"}\n  c: {$ref: \"https://example.com/a.json\"}\n"+
			"  d: {$ref: \"file:///etc/passwd\"}\n  e: {$ref: \"//host/a\"}\n  f: {$ref: \"x/../../a.yaml\"}\n  g: {$ref: \"..\\\\a.yaml\"}\n"), `schemas/a.yaml:6: /properties/a/$ref: "../a.yaml" leaves the directory of the schemas; move the file into it
schemas/a.yaml:7: /properties/b/$ref: "/etc/passwd" leaves the directory of the schemas; copy what it names into it, and write a relative path
schemas/a.yaml:8: /properties/c/$ref: "https://example.com/a.json" leaves the directory of the schemas; copy what it names into it, and write a relative path
schemas/a.yaml:9: /properties/d/$ref: "file:///etc/passwd" leaves the directory of the schemas; copy what it names into it, and write a relative path
schemas/a.yaml:10: /properties/e/$ref: "//host/a" leaves the directory of the schemas; copy what it names into it, and write a relative path
schemas/a.yaml:11: /properties/f/$ref: "x/../../a.yaml" leaves the directory of the schemas; move the file into it
schemas/a.yaml:12: /properties/g/$ref: "..\\a.yaml" leaves the directory of the schemas; copy what it names into it, and write a relative path`},
		{"fault in shared definitions", files("_c.yaml", "$defs: {m: {type: integr}}\n", "a.yaml", head+"properties: {a: {$ref: \"_c.yaml#/$defs/m\"}}\nexamples: [1]\n",
			"b.yaml", "x-event: {type: c.d, version: 1}\ndescription: d\ntype: object\nexamples: [1]\n"), `schemas/_c.yaml:1: /$defs/m/type: is not JSON Schema 2020-12: must be one of array, boolean, integer, "null", number, object, string, or a list of these, each once; quote "null": without quotes YAML takes it for no value
schemas/b.yaml:4: /examples/0: breaks the schema: type: must be an object but is an integer; correct the example or the schema`},
		{"unreadable shared definitions", files("_c.yaml", "$defs: [\n", "a.yaml", head+tail+"properties: {a: {$ref: \"_c.yaml#/$defs/m\"}}\n"), `schemas/_c.yaml:2: is not YAML, or the line before is not; check the indentation (spaces, no tabs) and the brackets, and quote values with ": " or " #" inside or one of @ & * ! % | > { [ in front`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(tt.files, "schemas")
			if err == nil {
				t.Fatal("no fault")
			}
			if got := err.Error(); got != tt.want {
				t.Errorf("\ngot:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

// bomb is a file of some lines that stands for ten million values.
func bomb() string {
	s := "x-a: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
	for i := range 7 {
		n, m := string(rune('0'+i)), string(rune('1'+i))
		s += "x-" + m + ": &a" + m + " [" + strings.TrimSuffix(strings.Repeat("*a"+n+", ", 10), ", ") + "]\n"
	}
	return s
}

// The cause of a fault can be asked for, and the faults are in order.
func TestLoadErrors(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "none")
	_, err := Load(dir)
	if want := dir + ": cannot be read: no such file or directory; give the directory of the schemas"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	var f *Fault
	if !errors.As(err, &f) || !errors.Is(err, fs.ErrNotExist) || f.File != dir {
		t.Errorf("fault %+v of %v", f, err)
	}
	_, err = load(files("b.yaml", "a: [}", "a.yaml", head+"type: object\n$id: a\nproperties: {a: {type: 1}}\n"), "s")
	var all *Faults
	if !errors.As(err, &all) {
		t.Fatal(err)
	}
	var places []string
	for _, f := range all.List() {
		places = append(places, fmt.Sprintf("%s:%d %s", f.File, f.Line, f.Path))
	}
	if got := strings.Join(places, "\n"); got != "s/a.yaml:1 /examples\ns/a.yaml:4 /type\ns/a.yaml:5 /$id\ns/a.yaml:6 /properties/a/type\ns/b.yaml:1 " {
		t.Errorf("got %s", got)
	}
}

// A link that leads out of the directory is not followed; one inside it is, as
// Kubernetes makes them: name -> ..data/name, ..data -> ..version.
func TestLoadLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret.yaml")
	for name, content := range map[string]string{
		secret:                               "token: abc",
		filepath.Join(dir, "..v1", "a.yaml"): head + tail,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip("no links here:", err)
		}
	}
	link("..v1", "..data")
	link("..data/a.yaml", "a.yaml")
	reg, err := Load(dir)
	if err != nil || len(reg.Schemas()) != 1 {
		t.Fatal(reg, err)
	}
	link(secret, "b.yaml")
	_, err = Load(dir)
	if want := filepath.Join(dir, "b.yaml") + ": cannot be read: path escapes from parent; correct it, or take it out of the directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	reg := example(t)
	list := reg.Schemas()
	if len(list) != 2 || list[0].Type != "order.placed" || list[1].Type != "user.signed_up" {
		t.Fatal(list)
	}
	list[0] = nil // a copy
	s, ok := reg.Lookup("order.placed")
	if !ok || s == nil || s.Version != 1 || s.KeyPointer != "/customerId" || len(s.Examples) != 2 ||
		s.Description != "A customer has placed an order and the shop has confirmed it." || s.File != filepath.Join("..", "..", "schemas", "order.placed.yaml") {
		t.Errorf("%+v", s)
	}
	if !strings.HasPrefix(string(s.Examples[0]), `{"orderId":"0b9f7a64-3f7c-4e0f-9a52-5a0d1c5e8f11","customerId":"ada","placedAt":`) {
		t.Errorf("example %s", s.Examples[0])
	}
	if _, ok := reg.Lookup("order.Placed"); ok {
		t.Error("found by another case")
	}
	empty, err := load(files("README.md", "no schema", ".hidden.yaml", "[", ".git/a.yaml", "[", "_only.yaml", "$defs: {a: true}"), "s")
	if err != nil || len(empty.Schemas()) != 0 {
		t.Error(empty, err)
	}
}

// example is the registry of the project's own schemas.
func example(t testing.TB) *Registry {
	t.Helper()
	reg, err := Load("../../schemas")
	if err != nil {
		t.Fatal(err)
	}
	return reg
}
