package schema

import (
	"bytes"
	"encoding/json"
	"eventserver/app/schema/quick"
	"eventserver/app/schema/tree"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

// anySchema draws a small schema of the keywords that events use, over few names
// and values, so that they meet.
func anySchema(t *rapid.T, depth int) any {
	pick := func(odds int) bool { return rapid.IntRange(1, odds).Draw(t, "pick") == 1 }
	small := func() int { return rapid.IntRange(0, 3).Draw(t, "n") }
	if pick(12) {
		return rapid.Bool().Draw(t, "bool")
	}
	s := map[string]any{}
	if pick(2) {
		s["type"] = rapid.SampledFrom([]any{"string", "integer", "number", "object", "array", "boolean", []any{"string", "null"}, []any{"object", "integer"}}).Draw(t, "type")
	}
	add := func(odds int, keyword string, draw func() any) {
		if pick(odds) {
			s[keyword] = draw()
		}
	}
	add(6, "enum", func() any {
		return rapid.SliceOfNDistinct(rapid.SampledFrom([]any{"a", "bb", nil, true, 1, 2.5}), 1, 3, func(v any) any { return v }).Draw(t, "enum")
	})
	add(10, "const", func() any { return rapid.SampledFrom([]any{"a", 1, nil}).Draw(t, "const") })
	add(5, "minimum", func() any { return small() })
	add(5, "exclusiveMinimum", func() any { return small() })
	add(5, "maximum", func() any { return float64(small()) + 0.5 })
	add(6, "multipleOf", func() any { return rapid.SampledFrom([]any{1, 2, 0.5}).Draw(t, "multiple") })
	add(5, "minLength", func() any { return small() })
	add(5, "maxLength", func() any { return small() })
	add(6, "pattern", func() any { return rapid.SampledFrom([]any{"^a", "b$"}).Draw(t, "pattern") })
	add(8, "format", func() any { return rapid.SampledFrom([]any{"date", "uuid"}).Draw(t, "format") })
	add(5, "minItems", func() any { return small() })
	add(6, "uniqueItems", func() any { return rapid.Bool().Draw(t, "unique") })
	add(5, "maxProperties", func() any { return small() })
	add(3, "required", func() any {
		return rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 2, rapid.ID).Draw(t, "required")
	})
	if depth == 0 {
		return s
	}
	sub := func() any { return anySchema(t, depth-1) }
	add(2, "properties", func() any {
		return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.Custom(func(t *rapid.T) any { return anySchema(t, depth-1) }), 0, 2).Draw(t, "properties")
	})
	add(3, "additionalProperties", func() any {
		if pick(2) {
			return false
		}
		return sub()
	})
	add(4, "items", sub)
	add(8, "contains", sub)
	add(8, "propertyNames", sub)
	add(8, "patternProperties", func() any { return map[string]any{"^a": sub()} })
	for _, keyword := range []string{"anyOf", "oneOf", "allOf"} {
		add(8, keyword, func() any { return []any{sub(), sub()} })
	}
	add(10, "not", sub)
	if pick(10) {
		s["if"], s["then"] = sub(), sub()
	}
	add(10, "unevaluatedProperties", sub)
	add(10, "unevaluatedItems", sub)
	add(10, "dependentSchemas", func() any { return map[string]any{"a": sub()} })
	add(10, "prefixItems", func() any { return []any{sub(), sub()} })
	return s
}

func anyValue(t *rapid.T, depth int) any {
	leaves := []any{"", "a", "bb", "ab", "2026-01-31", nil, true, false, 0, 1, 2, 2.5, 3, json.Number("1.0"), json.Number("2e0")}
	n := rapid.IntRange(0, len(leaves)+6).Draw(t, "value")
	switch {
	case n < len(leaves):
		return leaves[n]
	case depth == 0:
		return "a"
	case n < len(leaves)+2:
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any { return anyValue(t, depth-1) }), 0, 3).Draw(t, "list")
	}
	return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "ad"}), rapid.Custom(func(t *rapid.T) any { return anyValue(t, depth-1) }), 0, 3).Draw(t, "object")
}

// changed is s with some keywords taken out, drawn again or added.
func changed(t *rapid.T, s any, depth int) any {
	m, ok := s.(map[string]any)
	if !ok || depth == 0 {
		return anySchema(t, depth)
	}
	out := map[string]any{}
	fresh, _ := anySchema(t, depth).(map[string]any)
	for _, keyword := range tree.SortedKeys(m) {
		switch n := rapid.IntRange(0, 9).Draw(t, "change"); {
		case n == 0:
		case n == 1 && fresh[keyword] != nil:
			out[keyword] = fresh[keyword]
		case n < 4 && keyword == "properties":
			props := map[string]any{}
			for _, name := range tree.SortedKeys(m[keyword].(map[string]any)) {
				props[name] = changed(t, m[keyword].(map[string]any)[name], depth-1)
			}
			out[keyword] = props
		default:
			out[keyword] = m[keyword]
		}
	}
	return out
}

// The library, which judges no event in the server, agrees on what is valid; and
// the violation of an event is always the same.
func TestLibraryAgrees(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := fromJSON(t, anySchema(rt, 2))
		c := quick.NewCompiler(quick.Nothing{})
		if err := c.AddResource("schema:///event", s.bundle.Plain()); err != nil {
			rt.Fatal(err)
		}
		lib := c.MustCompile("schema:///event")
		for range 20 {
			data, err := json.Marshal(anyValue(rt, 2))
			if err != nil {
				rt.Fatal(err)
			}
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
			if err != nil {
				rt.Fatal(err)
			}
			first, again := violationOf(t, s, data), violationOf(t, s, data)
			if err := lib.Validate(doc); (first == nil) != (err == nil) {
				b, _ := s.Bundle()
				rt.Fatalf("%s\n%s\n%v, the library %v", b, data, first, err)
			}
			if first != nil {
				wellFormed(t, first)
				if *first != *again {
					rt.Fatalf("first %v, then %v", first, again)
				}
			}
		}
	})
}

func violationOf(t testing.TB, s *Schema, data []byte) *Violation {
	t.Helper()
	v, err := s.validate(t.Context(), data, DefaultMaxCost, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// fromJSON compiles doc without the rules for events.
func fromJSON(tb testing.TB, doc any) *Schema {
	tb.Helper()
	text, err := json.Marshal(doc)
	if err != nil {
		tb.Fatal(err)
	}
	rep := newReporter("s")
	root := parseYAML("x.yaml", text, rep)
	if err := rep.err(); err != nil {
		tb.Fatal(string(text), err)
	}
	if root.Kind != tree.ObjectKind {
		root = &tree.Value{Kind: tree.ObjectKind, Members: []tree.Member{{Name: "allOf", Value: &tree.Value{Kind: tree.ArrayKind, Items: []*tree.Value{root}}}}}
	}
	s := &Schema{Type: "x", Version: 1, bundle: root}
	if s.check, err = quick.Compile("schema:///event", root.Plain(), quick.Nothing{}); err != nil {
		tb.Fatal(string(text), err)
	}
	return s
}
