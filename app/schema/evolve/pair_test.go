package evolve_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eventserver/app/schema"
	"eventserver/app/schema/evolve"
)

// What an allOf or a $ref takes away from its neighbours was compared keyword by
// keyword: "nothing has changed", and events that were valid are refused.
func TestDiffOfWhatStandsTogether(t *testing.T) {
	load := func(name, body string) *schema.Registry {
		dir := t.TempDir()
		text := "x-event: {type: a, version: 1}\ndescription: A.\ntype: object\nexamples: [{}]\n" + body + "\n"
		if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := schema.Load(dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return r
	}
	for _, test := range []struct{ name, old, new, event string }{
		{"items", "properties: {v: {type: array, prefixItems: [{type: string}], items: {type: integer}}}",
			"properties: {v: {type: array, allOf: [{prefixItems: [{type: string}]}, {items: {type: integer}}]}}", `{"v":["a",1]}`},
		{"patterns", "patternProperties: {'^x': {}}\nadditionalProperties: false",
			"allOf: [{patternProperties: {'^x': {}}}]\nadditionalProperties: false", `{"xa":1}`},
		{"properties", "properties: {a: {}}\nadditionalProperties: false",
			"allOf: [{properties: {a: {}}}]\nadditionalProperties: false", `{"a":1}`},
		{"unevaluated", "additionalProperties: true\nunevaluatedProperties: false", "unevaluatedProperties: false", `{"q":1}`},
		{"unevaluated moved", "properties: {a: {}}\nunevaluatedProperties: false", "properties: {a: {}}\nallOf: [{unevaluatedProperties: false}]", `{"a":1}`},
		{"if", "allOf: [{if: {required: [a]}}, {then: {required: [b]}}]", "if: {required: [a]}\nthen: {required: [b]}", `{"a":1}`},
		{"contains", "properties: {v: {type: array, contains: {const: 1}, minContains: 0}}",
			"properties: {v: {type: array, allOf: [{contains: {const: 1}}], minContains: 0}}", `{"v":[2]}`},
		{"envelope", "maxProperties: 1", "maxProperties: 1\nproperties: {userId: {}}", `{"a":1,"userId":"u"}`},
	} {
		old, now := load(test.name, test.old), load(test.name, test.new)
		before, _ := old.Lookup("a")
		after, _ := now.Lookup("a")
		if err := before.Validate([]byte(test.event)); err != nil {
			t.Errorf("%s: the old schema refuses the event: %v", test.name, err)
		}
		if after.Validate([]byte(test.event)) == nil {
			t.Errorf("%s: the new schema does not refuse the event", test.name)
		}
		breaking := false
		var all []string
		for _, c := range evolve.Diff(old, now) {
			breaking = breaking || c.Breaking
			all = append(all, c.String())
		}
		if !breaking {
			t.Errorf("%s: nothing breaks: %s", test.name, strings.Join(all, "; "))
		}
		if same := evolve.Diff(old, old); len(same) > 0 {
			t.Errorf("%s: compared with itself: %v", test.name, same)
		}
	}
}
