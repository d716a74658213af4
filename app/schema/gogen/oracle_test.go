package gogen_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tree is a schema document as encoding/json has it, to follow what describes a
// value without the generator's own code.
type tree struct{ root any }

func (d tree) at(ptr string) any {
	v := d.root
	for tok := range strings.SplitSeq(strings.TrimPrefix(strings.TrimPrefix(ptr, "#"), "/"), "/") {
		tok = strings.NewReplacer("~1", "/", "~0", "~").Replace(tok)
		switch at := v.(type) {
		case map[string]any:
			if tok != "" || at[""] != nil {
				v = at[tok]
			}
		case []any:
			var i int
			if _, err := fmt.Sscan(tok, &i); err == nil && i < len(at) {
				v = at[i]
			}
		}
	}
	return v
}

// kindOf is the JSON type of a value: number for integers too.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return "number"
}

// refuses says whether the schema plainly refuses all values of a type.
func (d tree) refuses(s any, kind string, deep int) bool {
	m, ok := s.(map[string]any)
	if !ok || deep == 0 {
		return s == false
	}
	sub := func(s any) bool { return d.refuses(s, kind, deep-1) }
	types, _ := m["type"].([]any)
	if typ, ok := m["type"].(string); ok {
		types = []any{typ}
	}
	values := list(m["enum"])
	if v, ok := m["const"]; ok {
		values = []any{v}
	}
	ref, _ := m["$ref"].(string)
	refused := len(types) > 0 && !slices.ContainsFunc(types, func(typ any) bool { return strings.Replace(typ.(string), "integer", "number", 1) == kind }) ||
		len(values) > 0 && !slices.ContainsFunc(values, func(v any) bool { return kindOf(v) == kind }) ||
		ref != "" && sub(d.at(ref)) || slices.ContainsFunc(list(m["allOf"]), sub)
	for _, keyword := range []string{"anyOf", "oneOf"} {
		forms := list(m[keyword])
		refused = refused || len(forms) > 0 && !slices.ContainsFunc(forms, func(s any) bool { return !sub(s) })
	}
	return refused
}

// applied lists the schemas that may apply to the value that s is of. One that
// refuses all objects and lists describes none.
func (d tree) applied(s any, kind string, seen map[string]bool) (list []map[string]any) {
	m, ok := s.(map[string]any)
	if !ok || d.refuses(s, kind, 10) {
		return nil
	}
	list = append(list, m)
	add := func(sub any) { list = append(list, d.applied(sub, kind, seen)...) }
	if ref, ok := m["$ref"].(string); ok && !seen[ref] {
		seen[ref] = true
		add(d.at(ref))
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		subs, _ := m[keyword].([]any)
		for _, sub := range subs {
			add(sub)
		}
	}
	for _, keyword := range []string{"if", "then", "else"} {
		if m["if"] != nil {
			add(m[keyword])
		}
	}
	deps, _ := m["dependentSchemas"].(map[string]any)
	for _, sub := range deps {
		add(sub)
	}
	return list
}

func (d tree) all(schemas []any, kind string) (list []map[string]any) {
	for _, s := range schemas {
		list = append(list, d.applied(s, kind, map[string]bool{})...)
	}
	return list
}

// lost compares a value with what became of it: equal, but for members that none
// of the schemas describes. It returns the place of the first difference, or "".
func (d tree) lost(t *testing.T, schemas []any, in, out any, ptr string) string {
	t.Helper()
	switch in := in.(type) {
	case map[string]any:
		out, ok := out.(map[string]any)
		if !ok {
			return ptr
		}
		all := d.all(schemas, "object")
		for name, v := range in {
			subs := describing(t, all, name)
			got, kept := out[name]
			if !kept && len(subs) > 0 {
				return ptr + "/" + name
			}
			if kept {
				if at := d.lost(t, subs, v, got, ptr+"/"+name); at != "" {
					return at
				}
			}
		}
		for name := range out {
			if _, was := in[name]; !was {
				return ptr + "/" + name
			}
		}
		return ""
	case []any:
		out, ok := out.([]any)
		if !ok || len(in) != len(out) {
			return ptr
		}
		var subs []any
		for _, s := range d.all(schemas, "array") {
			for _, keyword := range []string{"items", "contains", "unevaluatedItems"} {
				if s[keyword] != nil {
					subs = append(subs, s[keyword])
				}
			}
			prefix, _ := s["prefixItems"].([]any)
			subs = append(subs, prefix...)
		}
		for i := range in {
			if at := d.lost(t, subs, in[i], out[i], fmt.Sprintf("%s/%d", ptr, i)); at != "" {
				return at
			}
		}
		return ""
	}
	if !same(in, out) {
		return ptr
	}
	return ""
}

// describing lists the schemas that speak of the member of a name.
func describing(t *testing.T, all []map[string]any, name string) (subs []any) {
	t.Helper()
	for _, s := range all {
		named := false
		props, _ := s["properties"].(map[string]any)
		if sub, ok := props[name]; ok {
			named = true
			if sub != false {
				subs = append(subs, sub)
			}
		}
		patterns, _ := s["patternProperties"].(map[string]any)
		for pattern, sub := range patterns {
			if regexp.MustCompile(pattern).MatchString(name) {
				named = true
				subs = append(subs, sub)
			}
		}
		for _, keyword := range []string{"additionalProperties", "unevaluatedProperties"} {
			if sub, ok := s[keyword]; ok && !named && sub != false {
				subs = append(subs, sub)
			}
		}
	}
	return subs
}

func value(t *testing.T, text string) (v any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v: %.300s", err, text)
	}
	return v
}
