package schema

import (
	"encoding/json"
	"errors"
	"testing"
)

// FuzzValidate: no event panics; a fault is well formed and always the same; the
// key of a good event can be read.
func FuzzValidate(f *testing.F) {
	reg := example(f)
	for _, s := range reg.Schemas() {
		for _, e := range s.Examples {
			f.Add(e)
		}
	}
	for _, s := range []string{orderEvent, signupEvent, ``, `{`, `null`, "{\"a\":\"\xff\"}", `{"a":1,"a":1}`, `{"labels":{"A":1e999}}`, `{"lines":[{"price":{}},7]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, s := range reg.Schemas() {
			err := s.Validate(data)
			if err == nil {
				if _, ok, err := s.Key(data); !ok || err != nil {
					t.Error("key of a good event:", ok, err)
				}
				continue
			}
			var v *Violation
			if !errors.As(err, &v) {
				t.Fatal(err)
			}
			wellFormed(t, v)
			if again := s.Validate(data); again == nil || again.Error() != err.Error() {
				t.Errorf("first %v, then %v", err, again)
			}
			_, _, _ = s.Key(data)
		}
	})
}

// FuzzLoad: no file panics; what loads has all that a schema needs, and a
// difference to itself it has not.
func FuzzLoad(f *testing.F) {
	for _, s := range []string{
		head + tail, other, "[", "a: &a [*a]", head + "properties: {a: {$ref: \"#/properties/a\"}}\n" + tail,
		head + "allOf: [{$ref: \"#/$defs/a\"}]\n$defs: {a: {anyOf: [{$ref: \"#/$defs/a\"}]}}\n" + tail,
		head + "patternProperties: {\"^a\": {format: uri}}\npropertyNames: {maxLength: 3}\n" + tail,
		head + "if: {required: [a]}\nthen: false\nunevaluatedProperties: false\n" + tail,
		"x-event: {type: a, version: 1, key: /a/0}\ndescription: d\ntype: object\nproperties: {a: {prefixItems: [{type: integer}]}}\nexamples: [{a: [1]}]\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		reg, err := load(files("a.yaml", string(data)), "s")
		if err != nil {
			var all *Faults
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
		if changes := Diff(reg, reg); len(changes) > 0 {
			t.Error(changes)
		}
	})
}
