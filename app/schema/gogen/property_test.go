package gogen_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// names are few, so that several schemas describe the same members; one pair
// differs by case alone.
func memberName() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"a", "A", "b", "c", "xa", "xb", "a,b"})
}

// node draws a schema. deep bounds its levels.
func node(t *rapid.T, deep int) any {
	kinds := []string{"string", "integer", "bounded", "number", "boolean", "any", "enum", "mixed", "date-time", "nullable", "ref", "const"}
	if deep > 0 {
		kinds = append(kinds, "object", "object", "object", "object", "array", "array", "allOf", "allOf", "allOf", "oneOf", "anyOf", "beside", "if", "dependent", "map", "tuple")
	}
	sub := func() any { return node(t, deep-1) }
	some := func(most int) (list []any) {
		for range rapid.IntRange(1, most).Draw(t, "n") {
			list = append(list, sub())
		}
		return list
	}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case "string", "integer", "number", "boolean":
		return map[string]any{"type": kind}
	case "bounded":
		return map[string]any{"type": "integer", "minimum": -100, "maximum": 100000}
	case "any":
		return rapid.SampledFrom([]any{true, map[string]any{}}).Draw(t, "any")
	case "enum":
		return map[string]any{"enum": []any{"a", "b", nil}}
	case "mixed":
		return map[string]any{"enum": []any{1, "1", false, nil, []any{1}, map[string]any{"a": 1}}}
	case "const":
		return map[string]any{"const": rapid.SampledFrom([]any{"a", 1, 1.5, true, nil}).Draw(t, "const")}
	case "date-time":
		return map[string]any{"type": "string", "format": "date-time"}
	case "nullable":
		return map[string]any{"type": []any{rapid.SampledFrom([]string{"string", "integer", "number", "boolean", "array", "object"}).Draw(t, "type"), "null"}}
	case "ref":
		return map[string]any{"$ref": fmt.Sprintf("#/$defs/d%d", rapid.IntRange(0, 2).Draw(t, "def"))}
	case "array":
		s := map[string]any{"type": "array", "items": sub()}
		if rapid.IntRange(0, 3).Draw(t, "contains") == 0 {
			s["contains"], s["minContains"] = sub(), 0
		}
		return s
	case "tuple":
		return map[string]any{"type": "array", "prefixItems": some(2), "items": sub()}
	case "map":
		return map[string]any{"type": "object", "additionalProperties": sub()}
	case "allOf", "oneOf", "anyOf":
		return map[string]any{kind: some(3)}
	case "beside":
		s := object(t, deep)
		s["$ref"] = fmt.Sprintf("#/$defs/d%d", rapid.IntRange(0, 2).Draw(t, "def"))
		return s
	case "if":
		s := object(t, deep)
		s["if"], s["then"], s["else"] = sub(), sub(), sub()
		return s
	case "dependent":
		s := object(t, deep)
		s["dependentSchemas"] = map[string]any{memberName().Draw(t, "name"): sub()}
		return s
	}
	s := object(t, deep)
	switch rapid.IntRange(0, 5).Draw(t, "with") {
	case 0:
		s["oneOf"] = some(3)
	case 1:
		s["allOf"] = some(2)
	case 2:
		s["anyOf"] = some(3)
	}
	return s
}

func object(t *rapid.T, deep int) map[string]any {
	s, props := map[string]any{"type": "object"}, map[string]any{}
	for _, name := range rapid.SliceOfNDistinct(memberName(), 0, 4, rapid.ID).Draw(t, "names") {
		props[name] = node(t, deep-1)
	}
	s["properties"] = props
	s["required"] = rapid.SliceOfNDistinct(memberName(), 0, 1, rapid.ID).Draw(t, "required")
	if rapid.IntRange(0, 3).Draw(t, "patterns") == 0 {
		s["patternProperties"] = map[string]any{"^x": node(t, deep-1)}
	}
	switch rapid.IntRange(0, 5).Draw(t, "others") {
	case 0:
		s["additionalProperties"] = false
	case 1:
		s["additionalProperties"] = node(t, deep-1)
	case 2:
		s["unevaluatedProperties"] = rapid.SampledFrom([]any{false, true, map[string]any{"type": "integer"}}).Draw(t, "unevaluated")
	}
	return s
}

// instance draws a value that the schema may let pass.
func (d tree) instance(t *rapid.T, s any, deep int) any {
	m, ok := s.(map[string]any)
	if !ok || len(m) == 0 || deep <= 0 {
		return rapid.SampledFrom([]any{nil, true, "x", json.Number("1"), json.Number("1.50"), []any{}, map[string]any{}, map[string]any{"A": json.Number("2")}}).Draw(t, "free")
	}
	number := rapid.SampledFrom([]json.Number{"0", "1.0", "1e2", "-5", "7.00", "123e-0", "12300E-2"})
	var v any
	switch typ := fmt.Sprint(m["type"]); {
	case m["enum"] != nil:
		v = rapid.SampledFrom(m["enum"].([]any)).Draw(t, "value")
	case hasKey(m, "const"):
		v = m["const"]
	case strings.HasPrefix(typ, "["):
		v = d.instance(t, map[string]any{"type": rapid.SampledFrom(m["type"].([]any)).Draw(t, "type")}, deep-1)
	case m["format"] != nil:
		v = rapid.SampledFrom([]string{"2016-12-31T23:59:60Z", "2026-01-31t12:00:00.10z", "2026-01-31T12:00:00+23:59"}).Draw(t, "time")
	case typ == "string":
		v = rapid.SampledFrom([]string{"", "a", "<é\u2028>", "\x00"}).Draw(t, "text")
	case typ == "integer" && m["minimum"] != nil:
		v = number.Draw(t, "small")
	case typ == "integer":
		v = rapid.OneOf(number, rapid.Just(json.Number("123456789012345678901")), rapid.Just(json.Number("1e30"))).Draw(t, "integer")
	case typ == "number":
		v = rapid.OneOf(number, rapid.SampledFrom([]json.Number{"0.10", "1e400", "12345678901234567.25"})).Draw(t, "number")
	case typ == "boolean":
		v = rapid.Bool().Draw(t, "bool")
	case typ == "null":
		return nil
	case typ == "array":
		list := []any{}
		prefix, _ := m["prefixItems"].([]any)
		for i := range rapid.IntRange(0, 3).Draw(t, "len") {
			if i < len(prefix) {
				list = append(list, d.instance(t, prefix[i], deep-1))
			} else {
				list = append(list, d.instance(t, m["items"], deep-1))
			}
		}
		v = list
	case typ == "object":
		v = d.members(t, m, deep)
	}
	// What else applies adds its members.
	subs := append([]any{}, list(m["allOf"])...)
	for _, keyword := range []string{"oneOf", "anyOf"} {
		if forms := list(m[keyword]); len(forms) > 0 {
			subs = append(subs, rapid.SampledFrom(forms).Draw(t, "form"))
		}
	}
	if m["if"] != nil {
		subs = append(subs, m[rapid.SampledFrom([]string{"then", "else"}).Draw(t, "branch")])
	}
	if ref, ok := m["$ref"].(string); ok {
		subs = append(subs, d.at(ref))
	}
	for _, sub := range subs {
		more := d.instance(t, sub, deep-1)
		if v == nil {
			v = more
		}
		v = merged(v, more)
	}
	return v
}

func (d tree) members(t *rapid.T, m map[string]any, deep int) map[string]any {
	v := map[string]any{}
	props, _ := m["properties"].(map[string]any)
	required, _ := m["required"].([]any)
	names := rapid.SliceOfNDistinct(memberName(), 0, 4, rapid.ID).Draw(t, "members")
	for _, r := range required {
		names = append(names, r.(string))
	}
	for _, name := range names {
		switch sub, ok := props[name]; {
		case ok:
			v[name] = d.instance(t, sub, deep-1)
		case strings.HasPrefix(name, "x") && m["patternProperties"] != nil:
			v[name] = d.instance(t, m["patternProperties"].(map[string]any)["^x"], deep-1)
		case m["additionalProperties"] != false:
			v[name] = d.instance(t, m["additionalProperties"], deep-1)
		}
	}
	return v
}

func hasKey(m map[string]any, key string) bool { _, ok := m[key]; return ok }

func list(v any) []any { l, _ := v.([]any); return l }

// merged has the members of two objects, also inside each other.
func merged(a, b any) any {
	x, ok := a.(map[string]any)
	y, ok2 := b.(map[string]any)
	if !ok || !ok2 {
		return a
	}
	x = maps.Clone(x) // of the schema, maybe
	for name, v := range y {
		if was, ok := x[name]; ok {
			v = merged(was, v)
		}
		x[name] = v
	}
	return x
}

// Random schemas, all in one package: what each lets pass comes back equal,
// but for members that nothing describes.
func TestRandomSchemas(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program of generated types")
	}
	t.Parallel()
	const schemas, values = 150, 150
	docs := rapid.Custom(func(t *rapid.T) tree {
		root, ok := node(t, 4).(map[string]any)
		if !ok {
			root = map[string]any{}
		}
		defs := map[string]any{}
		for i := range 3 {
			defs[fmt.Sprintf("d%d", i)] = node(t, 2)
		}
		root = map[string]any{"allOf": []any{root}, "$defs": defs}
		text, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		var plain any
		if err := json.Unmarshal(text, &plain); err != nil {
			t.Fatal(err)
		}
		return tree{plain}
	})
	texts, roots := map[string]string{}, map[string]tree{}
	for i := range schemas {
		d := docs.Example(i)
		text, err := json.Marshal(d.root)
		if err != nil {
			t.Fatal(err)
		}
		typ := fmt.Sprintf("r%d", i)
		texts[typ], roots[typ] = string(text), d
	}
	reg, src := written(t, texts)
	var lines bytes.Buffer
	var sent []struct{ typ, event string }
	used := map[string]bool{}
	for _, s := range reg.Schemas() {
		d := roots[s.Type]
		candidates := rapid.Custom(func(t *rapid.T) any {
			rapid.Bool().Draw(t, "some") // a constant draws nothing, which Custom does not take
			return d.instance(t, d.root, 12)
		})
		seen := map[string]bool{}
		for i := range values {
			data, err := json.Marshal(map[string]any{"v": candidates.Example(i)})
			event := string(data)
			if err != nil || seen[event] || s.Validate(data) != nil {
				continue
			}
			seen[event], used[s.Type] = true, true
			fmt.Fprintln(&lines, s.Type, event)
			sent = append(sent, struct{ typ, event string }{s.Type, event})
		}
	}
	for i, got := range run(t, src, lines.Bytes()) {
		at := got
		if !strings.HasPrefix(got, "error") {
			schema := map[string]any{"properties": map[string]any{"v": roots[sent[i].typ].root}}
			at = roots[sent[i].typ].lost(t, []any{schema}, value(t, sent[i].event), value(t, got), "")
		}
		if at != "" {
			t.Errorf("%s\n%s\nbecame %s: %s", texts[sent[i].typ], sent[i].event, got, at)
		}
	}
	if len(used) < schemas/2 || len(sent) < 10*schemas { // so that the generators are not empty
		t.Errorf("%d schemas, %d with values, %d values", len(reg.Schemas()), len(used), len(sent))
	}
	t.Logf("%d schemas, %d with values, %d values", len(reg.Schemas()), len(used), len(sent))
}
