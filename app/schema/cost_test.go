package schema

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// chain is an object n levels deep, whose members called by are in front of each
// level's own.
func chain(n int, member, more, leaf string) string {
	return strings.Repeat(`{`+more+`"`+member+`":`, n) + leaf + strings.Repeat("}", n)
}

func repeated(n int, item func(i int) string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = item(i)
	}
	return strings.Join(list, ",")
}

// doubling are definitions a0 to an, each of which asks the next twice.
func doubling(keyword string, n int, last string) string {
	var b strings.Builder
	b.WriteString("$defs:\n")
	for i := range n {
		fmt.Fprintf(&b, "  a%d: {%s: [{$ref: \"#/$defs/a%d\"}, {$ref: \"#/$defs/a%d\"}]}\n", i, keyword, i+1, i+1)
	}
	fmt.Fprintf(&b, "  a%d: %s\n", n, last)
	return b.String()
}

const taggedTree = `properties: {root: {$ref: "#/$defs/node"}}
$defs:
  node: {oneOf: [{$ref: "#/$defs/and"}, {$ref: "#/$defs/or"}, {$ref: "#/$defs/leaf"}]}
  and: {type: object, required: [op, left], properties: {left: {$ref: "#/$defs/node"}, op: {const: and}}}
  or: {type: object, required: [op, left], properties: {left: {$ref: "#/$defs/node"}, op: {const: or}}}
  leaf: {type: object, required: [field], properties: {field: {type: string}}}`

// costly are schemas and events of clients that look for what takes long. rule is
// the right answer, "" for a valid event; at most is what it may cost, in steps,
// where that is less than the limit.
func costly() []struct {
	name, schema, event, rule string
	atMost                    int64
} {
	deep := func(more, leaf string) string { return `{"root":` + chain(60, "left", more, leaf) + `}` }
	long := strings.Repeat("a", 500_000)
	digits := strings.Repeat("7", 900)
	number := func(i int) string { return fmt.Sprintf("%d.%s1e-%d", i, digits, i%100) }
	fixed := func(text string) func(int) string { return func(int) string { return text } }
	list := func(items string) string { return `{"a":[` + items + `]}` }
	return []struct {
		name, schema, event, rule string
		atMost                    int64
	}{
		// a union or conjunction that several branches lead back to
		{"tagged tree, a wrong leaf", taggedTree, deep(`"op":"or",`, `{"field":1}`), "oneOf", 100_000},
		{"tagged tree, the tag last", taggedTree, `{"root":` + strings.Repeat(`{"left":`, 60) + `{"field":1}` + strings.Repeat(`,"op":"and"}`, 60) + `}`, "oneOf", 100_000},
		{"tagged tree, right", taggedTree, deep(`"op":"or",`, `{"field":"x"}`), "", 100_000},
		{"tagged tree by anyOf", strings.Replace(taggedTree, "oneOf", "anyOf", 1), deep(`"op":"or",`, `{"field":1}`), "anyOf", 100_000},
		{"double allOf, right", `properties: {root: {$ref: "#/$defs/n"}}
$defs: {n: {allOf: [{$ref: "#/$defs/m"}, {$ref: "#/$defs/m"}]}, m: {type: object, properties: {left: {$ref: "#/$defs/n"}}}}`, deep("", "{}"), "", 100_000},
		{"two allOf, right", `properties: {root: {$ref: "#/$defs/n"}}
$defs: {n: {allOf: [{properties: {left: {$ref: "#/$defs/n"}}}, {properties: {left: {$ref: "#/$defs/n"}}}]}}`, deep("", "{}"), "", 100_000},
		{"two allOf, wrong", `properties: {root: {$ref: "#/$defs/n"}}
$defs: {n: {type: object, allOf: [{properties: {left: {$ref: "#/$defs/n"}}}, {properties: {left: {$ref: "#/$defs/n"}}}]}}`, deep("", "1"), "type", 100_000},
		{"if and then", `properties: {root: {$ref: "#/$defs/n"}}
$defs: {n: {if: {properties: {left: {$ref: "#/$defs/n"}}}, then: {properties: {left: {$ref: "#/$defs/n"}}}, else: {properties: {left: {$ref: "#/$defs/n"}}}}}`, deep("", "{}"), "", 100_000},
		{"not and not", `properties: {root: {$ref: "#/$defs/n"}}
$defs: {n: {not: {allOf: [{properties: {left: {$ref: "#/$defs/n"}}}, {not: {properties: {left: {$ref: "#/$defs/n"}}}}]}}}`, deep("", "{}"), "", 100_000},
		{"dependentSchemas", `properties: {root: {$ref: "#/$defs/n"}}
$defs: {n: {properties: {left: {$ref: "#/$defs/n"}}, dependentSchemas: {left: {properties: {left: {$ref: "#/$defs/n"}}}, b: {properties: {left: {$ref: "#/$defs/n"}}}}}}`, deep(`"b":1,`, "{}"), "", 200_000},
		{"patternProperties that overlap", `properties: {root: {$ref: "#/$defs/n"}}
$defs: {n: {type: object, patternProperties: {"^l": {$ref: "#/$defs/n"}, "t$": {$ref: "#/$defs/n"}, "ef": {$ref: "#/$defs/n"}}}}`, deep("", "1"), "type", 100_000},
		{"lists in contains and items", `properties: {root: {$ref: "#/$defs/n"}}
$defs: {n: {items: {$ref: "#/$defs/n"}, contains: {$ref: "#/$defs/n"}, maxItems: 1}}`, `{"root":` + strings.Repeat("[", 62) + strings.Repeat("]", 62) + `}`, "contains", 100_000},
		{"unevaluated in each level", `properties: {root: {$ref: "#/$defs/n"}}
$defs: {n: {allOf: [{$ref: "#/$defs/m"}, {$ref: "#/$defs/m"}], unevaluatedProperties: false}, m: {properties: {left: {$ref: "#/$defs/n"}}}}`, deep("", "{}"), "", 200_000},
		{"definitions that double", "allOf: [{$ref: \"#/$defs/a0\"}]\n" + doubling("allOf", 60, "{required: [b]}"), `{}`, "required", 100_000},
		{"definitions that double, right", "allOf: [{$ref: \"#/$defs/a0\"}]\n" + doubling("anyOf", 60, "true"), `{}`, "", 100_000},
		{"definitions that double, of a text", "properties: {a: {$ref: \"#/$defs/a0\"}}\n" + doubling("oneOf", 60, "{maxLength: 3}"), `{"a":"text"}`, "oneOf", 100_000},
		{"definitions that double, tracked", "unevaluatedProperties: false\nallOf: [{$ref: \"#/$defs/a0\"}]\n" + doubling("allOf", 60, "true"), `{"a":1}`, RuleCost, 0},

		// much in one value
		{"many members missing", `required: [` + repeated(10_000, func(i int) string { return fmt.Sprintf("m%d", i) }) + `]`, `{}`, "required", 100_000},
		{"many unequal texts", `properties: {a: {uniqueItems: true}}`, list(repeated(19_000, func(i int) string { return fmt.Sprintf(`"text %d"`, i) })), "", 400_000},
		{"many unequal objects", `properties: {a: {uniqueItems: true}}`, list(repeated(3000, func(i int) string { return fmt.Sprintf(`{"a":{"b":[1,2]},"c":%d}`, i) })), "", 400_000},
		{"many unequal numbers", `properties: {a: {uniqueItems: true}}`, list(repeated(1000, number)), "", 400_000},
		{"a large enum", `properties: {a: {items: {enum: [` + repeated(20_000, func(i int) string { return fmt.Sprintf("value-%d", i) }) + `]}}}`, list(repeated(19_000, func(i int) string { return fmt.Sprintf(`"value-%d"`, i) })), "", 400_000},
		{"a large enum of objects", `properties: {a: {items: {enum: [` + repeated(3000, func(i int) string { return fmt.Sprintf("{a: {b: [%d]}}", i) }) + `]}}}`, list(repeated(4500, fixed(`{"a":{"b":[2999]}}`))), "", 400_000},
		{"a large enum of numbers", `properties: {a: {items: {enum: [` + repeated(5000, func(i int) string { return fmt.Sprintf("%d.5", i) }) + `]}}}`, list(repeated(10_000, fixed("4999.50"))), "", 400_000},
		{"a large const", `properties: {a: {items: {const: [` + repeated(4000, fixed("1")) + `]}}}`, list(`[` + repeated(4000, fixed("1")) + `],[` + repeated(4000, fixed("1.0")) + `],[` + repeated(3999, fixed("1")) + `,2]`), "const", 400_000},
		{"names by a pattern", `propertyNames: {pattern: "^([a-z]+-?)+$"}`, `{` + repeated(15_000, func(i int) string { return fmt.Sprintf(`"a-b-%d":1`, i) }) + `}`, "propertyNames", 4_000_000},
		{"a union of each item", `properties: {a: {items: {anyOf: [` + repeated(100, func(i int) string { return fmt.Sprintf("{const: %d}", i) }) + `]}}}`, list(repeated(15_000, fixed(`"x"`))), "anyOf", 4_000_000},
		{"a union of each item, too large", `properties: {a: {items: {anyOf: [` + repeated(1000, func(i int) string { return fmt.Sprintf("{const: %d}", i) }) + `]}}}`, list(repeated(15_000, fixed(`999`))), RuleCost, 0},
		{"a set of equal items, for many forms", `properties: {a: {anyOf: [` + repeated(3000, fixed("{uniqueItems: true}")) + `]}}`, list("1,1," + repeated(19_000, func(i int) string { return fmt.Sprint(i + 2) })), RuleCost, 0},
		{"a set, for many forms", `properties: {a: {allOf: [` + repeated(1000, fixed("{uniqueItems: true}")) + `]}}`, list(repeated(19_000, func(i int) string { return fmt.Sprint(i) })), RuleCost, 0},
		{"items that no form has evaluated", `properties: {a: {anyOf: [` + repeated(3000, fixed("{unevaluatedItems: false}")) + `]}}`, list(repeated(19_000, fixed("1"))), "anyOf", 4_000_000},
		{"many faults of each item", `properties: {a: {items: {allOf: [` + repeated(100, fixed("{type: string}")) + `]}}}`, list(repeated(19_000, fixed("1"))), "type", 4_000_000},

		{"a member among very many", `additionalProperties: false
properties: {` + repeated(2000, func(i int) string { return fmt.Sprintf("member%d: true", i) }) + `}`, `{"memberX":1}`, "additionalProperties", 400_000},

		// texts
		{"a long text, an odd pattern", `properties: {a: {pattern: "(a?){200}a{200}$"}}`, `{"a":"` + long + `"}`, RuleCost, 0},
		{"a long text, a simple pattern", `properties: {a: {pattern: "^[a-z]+$"}}`, `{"a":"` + long + `"}`, "", 4_000_000},
		{"long names, many patterns", `patternProperties: {` + repeated(200, func(i int) string { return fmt.Sprintf(`"(x+x+)+%d": true`, i) }) + `}`, `{"` + strings.Repeat("x", 20_000) + `":1}`, RuleCost, 0},
		{"a long name, many forms", `anyOf: [` + repeated(1000, func(i int) string { return fmt.Sprintf("{required: [z], properties: {a%d: true}}", i) }) + `]`, `{"` + long + `":1,"z":1}`, "", 20_000},
		{"a long name, many forms that close", `anyOf: [` + repeated(1000, func(i int) string { return fmt.Sprintf("{additionalProperties: false, properties: {a%d: true}}", i) }) + `]`, `{"` + long + `":1}`, RuleCost, 0},
		{"long names in a set", `properties: {a: {items: {uniqueItems: true}}}`, list(repeated(10, fixed(`[{"`+long[:40_000]+`":1},{"`+long[:40_000]+`":2}]`))), "", 100_000},
		{"many lengths of a long text", `properties: {a: {allOf: [` + repeated(500, fixed("{minLength: 1}")) + `]}}`, `{"a":"` + strings.Repeat("д", 200_000) + `"}`, RuleCost, 0},
		{"many long names that are required", `properties: {a: {items: {anyOf: [` + repeated(200, func(i int) string { return fmt.Sprintf("{required: [%s%d]}", long[:3000], i) }) + `]}}}`, list(repeated(900, fixed(`{`+repeated(20, func(i int) string { return fmt.Sprintf(`"k%d":1`, i) })+`}`))), "anyOf", 4_000_000},
		{"a regex that expands", `properties: {a: {format: regex}}`, `{"a":"((a{100}){5}){2}"}`, "", 1000},
		{"a regex of large classes", `properties: {a: {format: regex}}`, `{"a":"[` + strings.Repeat(`\\pL\\PN`, 2000) + `]"}`, RuleCost, 0},
		{"a regex of ranges without case", `properties: {a: {format: regex}}`, `{"a":"` + strings.Repeat("(?i)[B-\U0001e943]", 100) + `"}`, RuleCost, 0},
		{"a regex of short ranges without case", `properties: {a: {format: regex}}`, `{"a":"` + strings.Repeat("(?i)[A-z]", 30_000) + `"}`, RuleCost, 0},
		{"a regex of classes without case", `properties: {a: {format: regex}}`, `{"a":"(?i)` + strings.Repeat(`\\W`, 30_000) + `"}`, RuleCost, 0},
		{"a usual regex", `properties: {a: {format: regex}}`, `{"a":"` + strings.Repeat(`(?:[a-z0-9-]+-)?`, 100) + `"}`, "", 200_000},
		{"a long regex", `properties: {a: {format: regex}}`, `{"a":"` + strings.Repeat("a?b", 100_000) + `"}`, RuleCost, 0},
		{"a long URI", `properties: {a: {format: uri}}`, `{"a":"http://` + strings.Repeat("a:", 300_000) + `"}`, RuleCost, 0},
		{"a long duration", `properties: {a: {format: duration}}`, `{"a":"PT` + strings.Repeat("1", 300_000) + `S"}`, RuleCost, 0},
		{"a long host", `properties: {a: {format: hostname}}`, `{"a":"` + long + `"}`, "format", 10_000},

		// numbers
		{"multiples of long numbers", `properties: {a: {items: {multipleOf: 0.` + digits + `}}}`, list(repeated(1000, number)), "multipleOf", 4_000_000},
		{"multiples far apart", `properties: {a: {items: {multipleOf: 1e-999}}}`, list(repeated(10_000, fixed("7e999"))), RuleCost, 0},
		{"bounds of long numbers", `properties: {a: {items: {minimum: 1e-999, maximum: 1e999}}}`, list(repeated(1000, number)), "", 400_000},
	}
}

// Each answer is right, costs at most what it may, and takes memory in proportion
// to the event. Steps and bytes are counted, because clocks depend on the machine.
func TestCostIsBounded(t *testing.T) {
	for i, tt := range costly() {
		if testing.Short() && i%4 != 0 {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			s := one(t, tt.schema)
			var before, after runtime.MemStats
			var spent Spent
			runtime.ReadMemStats(&before)
			v, err := s.validate(t.Context(), []byte(tt.event), DefaultMaxCost, &spent)
			runtime.ReadMemStats(&after)
			var again Spent
			if _, _ = s.validate(t.Context(), []byte(tt.event), DefaultMaxCost, &again); again != spent {
				t.Errorf("%d steps, then %d", spent.Steps(), again.Steps())
			}
			rule := ""
			if v != nil {
				rule = v.Rule
				wellFormed(t, v)
			}
			if err != nil || rule != tt.rule {
				t.Errorf("%v %v, want the rule %q", v, err, tt.rule)
			}
			if tt.atMost > 0 && spent.Steps() > tt.atMost {
				t.Errorf("%d steps, want at most %d", spent.Steps(), tt.atMost)
			}
			if used := after.TotalAlloc - before.TotalAlloc; pooled && used > 64<<20 {
				t.Errorf("%d MiB, want at most 64", used>>20)
			}
		})
	}
}

// What a check costs more than it may is told by one rule, with the limit and what
// to do, and says nothing of the event.
func TestCostText(t *testing.T) {
	t.Parallel()
	s := one(t, `properties: {a: {pattern: "(a?){200}a{200}$"}}`)
	v, err := s.validate(t.Context(), []byte(`{"a":"`+strings.Repeat("a", 1000)+`"}`), 10_000, nil)
	want := `x v1: schema.cost: the check of the event against its schema takes more than 10000 steps; send a smaller event, simplify the schema, or raise schemas.max_cost`
	if err != nil || v == nil || v.Error() != want || v.LogText() != want {
		t.Errorf("%v %v", v, err)
	}
}

// The nesting of schemas is bounded with that of the event.
func TestNestingIsBounded(t *testing.T) {
	t.Parallel()
	s := one(t, "properties: {root: {$ref: \"#/$defs/a0\"}}\n"+doubling("allOf", 200, `{properties: {left: {$ref: "#/$defs/a0"}}}`))
	for levels, want := range map[int]string{5: "", 60: RuleCost} {
		var rule string
		if err := s.Validate([]byte(`{"root":` + chain(levels, "left", "", "{}") + `}`)); err != nil {
			rule = err.(*Violation).Rule
		}
		if rule != want {
			t.Errorf("%d levels: the rule %q, want %q", levels, rule, want)
		}
	}
}

// The events of one request share ten times what one may cost.
func TestRequestCost(t *testing.T) {
	t.Parallel()
	p, err := NewPolicy(PolicyConfig{Registry: &Registry{byType: map[string]*Schema{"x": one(t, `properties: {a: {pattern: "^(a|b)+$"}}`)}}, MaxCost: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	event := []byte(`{"a":"` + strings.Repeat("ab", 1000) + `"}`)
	var spent Spent
	for n := 1; ; n++ {
		v, refused, err := p.Check(t.Context(), "x", event, &spent)
		if err != nil {
			t.Fatal(err)
		}
		if v == nil && n < 100 {
			continue
		}
		if n < 10 || n > 40 || !refused || v == nil || !strings.Contains(v.Error(), "schema.cost: the checks of the events of this request take more than 100000 steps together; send fewer in one request") {
			t.Errorf("event %d: %v", n, v)
		}
		break
	}
	if v, _, _ := p.Check(t.Context(), "x", event, nil); v != nil {
		t.Error("alone:", v)
	}
}

// polled is a context that has ended when it is asked for the nth time.
type polled struct {
	context.Context
	n, asked int
}

func (p *polled) Err() error {
	if p.asked++; p.asked >= p.n {
		return context.Canceled
	}
	return nil
}

// The context is looked at while a check runs, and what it ended has no result.
func TestCheckEndsWithItsContext(t *testing.T) {
	t.Parallel()
	const pollEvery = 40_000 // steps between two looks at the context
	const maxCost = 10 * pollEvery
	for i, tt := range costly() {
		if testing.Short() && i%4 != 0 {
			continue
		}
		s := one(t, tt.schema)
		whole := &polled{context.Background(), 1 << 30, 0}
		var spent Spent
		if _, err := s.validate(whole, []byte(tt.event), maxCost, &spent); err != nil {
			t.Fatal(err)
		}
		if whole.asked > int(spent.Steps()/pollEvery)+2 {
			t.Errorf("%s: asked %d times in %d steps", tt.name, whole.asked, spent.Steps())
		}
		for n := 1; n <= whole.asked; n += 1 + whole.asked/3 {
			v, err := s.validate(&polled{context.Background(), n, 0}, []byte(tt.event), maxCost, nil)
			if err != context.Canceled || v != nil {
				t.Errorf("%s: ended at %d of %d: %v, %v", tt.name, n, whole.asked, v, err)
			}
		}
	}
}

// What a schema may cost is told at load as far as it is known.
func TestCostAtLoad(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, schema, fault, warning string }{
		{"as usual", `properties: {a: {pattern: "^[a-z]{1,36}$"}}`, "", ""},
		{"recursive unions", taggedTree, "", ""},
		{"a large pattern", `properties: {a: {pattern: "^(a?b?){600}$"}}`, "", `s/a.yaml:4: /properties/a/pattern: "^(a?b?){600}$" is a regular expression of 3604 instructions, so a text of more than 3329 bytes is refused by the rule schema.cost with the default of schemas.max_cost; write smaller repeats, or maxLength instead`},
		{"a large pattern of names", `patternProperties: {"^(a?b?){600}$": true}`, "", `s/a.yaml:4: /patternProperties/^(a?b?){600}$: "^(a?b?){600}$" is a`},
		{"too large a pattern", `properties: {a: {pattern: "(abcdefghijklmnop){900}"}}`, `s/a.yaml:4: /properties/a/pattern: "(abcdefghijklmnop){900}" is a regular expression of 16202 instructions, at most 10000 are allowed; write smaller repeats, or maxLength instead`, ""},
		{"a long chain", "allOf: [{$ref: \"#/$defs/a0\"}]\n" + doubling("allOf", 300, "true"), `leads through more than 500 schemas for one value; flatten it`, ""},
		{"definitions that double", "allOf: [{$ref: \"#/$defs/a0\"}]\n" + doubling("allOf", 60, "true"), "", ""},
		{"definitions that double, tracked", "unevaluatedProperties: false\nallOf: [{$ref: \"#/$defs/a0\"}]\n" + doubling("allOf", 12, "true"), "", `s/a.yaml:4: /unevaluatedProperties: takes 16383 judgements of one value, because each way to a schema counts here, by $ref too; an event may be refused by the rule schema.cost, so lead to each schema once`},
		{"an example that takes much", `properties: {a: {pattern: "^(a|b)+$"}}
examples: [{a: ` + strings.Repeat("ab", 100_000) + `}]`, "", `of the 4000000 steps that schemas.max_cost allows by default; simplify the schema`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := head + tt.schema + "\n"
			if !strings.Contains(tt.schema, "examples:") {
				text += tail
			}
			reg, err := load(files("a.yaml", text), "s")
			got := ""
			if err != nil {
				got = err.Error()
			}
			if tt.fault == "" && err != nil || !strings.Contains(got, tt.fault) {
				t.Errorf("fault %s\nwant %s", got, tt.fault)
			}
			if err != nil {
				return
			}
			var warned []string
			for _, w := range reg.Warnings() {
				warned = append(warned, w.Error())
			}
			if all := strings.Join(warned, "\n"); tt.warning == "" && all != "" || !strings.Contains(all, tt.warning) {
				t.Errorf("warnings %s\nwant %s", all, tt.warning)
			}
		})
	}
}

// BenchmarkStep is what a step takes in the worst case; DefaultMaxCost follows
// from it.
func BenchmarkStep(b *testing.B) {
	for _, tt := range costly() {
		b.Run(tt.name, func(b *testing.B) {
			s := one(b, tt.schema)
			var spent Spent
			for b.Loop() {
				spent = Spent{}
				_, _ = s.validate(b.Context(), []byte(tt.event), DefaultMaxCost, &spent)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(spent.Steps()), "ns/step")
		})
	}
}
