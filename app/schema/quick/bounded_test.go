package quick

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

// counted counts what a regular expression reads.
type counted struct{ bytes *int64 }

func (counted) String() string { return "a" }
func (c counted) MatchString(s string) bool {
	*c.bytes += int64(len(s)) + 1
	return strings.Contains(s, "a")
}
func recursiveSchema(t *rapid.T) (doc any, n int) {
	n = rapid.IntRange(1, 4).Draw(t, "definitions")
	ref := func() any {
		return map[string]any{"$ref": fmt.Sprintf("#/$defs/d%d", rapid.IntRange(0, n-1).Draw(t, "ref"))}
	}
	// What stays at the value leads only to later definitions, as Load asks.
	inside := func(i int) any {
		if i+1 >= n {
			return map[string]any{"pattern": "a"}
		}
		return map[string]any{"$ref": fmt.Sprintf("#/$defs/d%d", rapid.IntRange(i+1, n-1).Draw(t, "later"))}
	}
	defs := map[string]any{}
	for i := range n {
		d := map[string]any{"pattern": "a"}
		for range rapid.IntRange(1, 4).Draw(t, "keywords") {
			child := func() any { return map[string]any{"properties": map[string]any{"a": ref()}, "items": ref()} }
			switch k := rapid.SampledFrom([]string{"properties", "items", "allOf", "anyOf", "oneOf", "not", "if", "contains", "unevaluatedProperties", "dependentSchemas", "patternProperties"}).Draw(t, "keyword"); k {
			case "properties", "dependentSchemas", "patternProperties":
				if k == "dependentSchemas" {
					d[k] = map[string]any{"a": child(), "b": inside(i)}
				} else {
					d[k] = map[string]any{"a": ref(), "b": ref()}
				}
			case "allOf", "anyOf", "oneOf":
				d[k] = []any{inside(i), child(), inside(i), child()}
			case "if":
				d["if"], d["then"], d["else"] = child(), child(), inside(i)
			case "not":
				d[k] = child()
			default:
				d[k] = ref()
			}
		}
		defs[fmt.Sprintf("d%d", i)] = d
	}
	return map[string]any{"$ref": "#/$defs/d0", "$defs": defs}, n
}

func deepValue(t *rapid.T) string {
	open, end := "", ""
	for range rapid.IntRange(0, 30).Draw(t, "depth") {
		switch rapid.IntRange(0, 2).Draw(t, "level") {
		case 0:
			open, end = open+`{"b":"a","a":`, "}"+end
		case 1:
			open, end = open+`[`, `,"a"]`+end
		default:
			open, end = open+`{"a":`, `,"b":[]}`+end
		}
	}
	return open + rapid.SampledFrom([]string{`"a"`, `"x"`, `1`, `{}`}).Draw(t, "leaf") + end
}

// No schema and event take more steps than they may, counted by what their regular
// expressions read, and what is kept of results changes none.
func TestAnyCheckIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		doc, _ := recursiveSchema(rt)
		text, err := json.Marshal(doc)
		if err != nil {
			rt.Fatal(err)
		}
		plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			rt.Fatal(err)
		}
		s, err := Compile("schema:///event", plain, Nothing{})
		if err != nil {
			rt.Fatal(string(text), err)
		}
		var read int64
		seen := map[*rules]bool{}
		var replace func(r *rules)
		replace = func(r *rules) {
			if r == nil || seen[r] {
				return
			}
			seen[r] = true
			if r.pattern != nil {
				r.pattern.re = counted{&read}
			}
			for _, sub := range r.subs() {
				replace(sub)
			}
		}
		replace(s.root)
		event := []byte(deepValue(rt))
		limit := int64(rapid.SampledFrom([]int{5000, 30_000, 100_000}).Draw(rt, "limit"))
		v, err := s.Check(t.Context(), event, limit, nil)
		if err != nil {
			rt.Fatal(err)
		}
		if read > limit {
			rt.Fatalf("read %d times in %d steps", read, limit)
		}
		if v != nil && v.Rule == RuleCost {
			return
		}
		free := newRun(t.Context(), 10*limit) // keeps no result
		value, _ := decode(event, nil, nil)
		if valid := s.root.ok(free, value, nil); !free.over && valid != (v == nil) {
			rt.Fatalf("%s\n%s\n%v, but without results that are kept: %v", text, event, v, valid)
		}
	})
}

// subs are the schemas that r asks.
func (r *rules) subs() []*rules {
	list := []*rules{r.ref, r.items, r.contains, r.unevaluatedItems, r.additional, r.names, r.unevaluatedProperties, r.not, r.when, r.then, r.otherwise}
	list = append(append(append(append(list, r.all...), r.any...), r.one...), r.prefix...)
	for _, sub := range r.properties {
		list = append(list, sub)
	}
	for _, p := range r.patterns {
		list = append(list, p.rules)
	}
	for _, d := range r.dependentSchemas {
		list = append(list, d.rules)
	}
	return list
}
