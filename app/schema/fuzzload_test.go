package schema_test

import (
	"encoding/json"
	"errors"
	"testing"

	"eventserver/app/schema"
	"eventserver/app/schema/evolve"
)

// FuzzLoad: no file panics; what loads has all that a schema needs, and a
// difference to itself it has not.
func FuzzLoad(f *testing.F) {
	for _, s := range []string{
		schema.Head + schema.Tail, schema.Other, "[", "a: &a [*a]", schema.Head + "properties: {a: {$ref: \"#/properties/a\"}}\n" + schema.Tail,
		schema.Head + "allOf: [{$ref: \"#/$defs/a\"}]\n$defs: {a: {anyOf: [{$ref: \"#/$defs/a\"}]}}\n" + schema.Tail,
		schema.Head + "patternProperties: {\"^a\": {format: uri}}\npropertyNames: {maxLength: 3}\n" + schema.Tail,
		schema.Head + "if: {required: [a]}\nthen: false\nunevaluatedProperties: false\n" + schema.Tail,
		"x-event: {type: a, version: 1, key: /a/0}\ndescription: d\ntype: object\nproperties: {a: {prefixItems: [{type: integer}]}}\nexamples: [{a: [1]}]\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		reg, err := schema.LoadFS(schema.Files("a.yaml", string(data)), "s")
		if err != nil {
			var all *schema.Faults
			if !errors.As(err, &all) || len(all.List()) == 0 {
				t.Fatalf("%#v", err)
			}
			return
		}
		for _, s := range reg.Schemas() {
			if s.Type == "" || s.Version < 1 || s.Description == "" || len(s.Examples) == 0 || s.File == "" {
				t.Errorf("%+v", s)
			}
			if b, err := s.Bundle(); err != nil || !json.Valid(b) {
				t.Errorf("bundle %s, %v", b, err)
			}
		}
		if changes := evolve.Diff(reg, reg); len(changes) > 0 {
			t.Error(changes)
		}
	})
}
