package quick

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"eventserver/app/schema/tree"
)

// detail says what is wrong with the value and what is allowed. doc is the whole
// event, decoded.
func (r *run) detail(p *problem, doc any) string {
	got, tokens := follow(doc, p.path)
	s := p.rules
	if s.never {
		return "is not allowed"
	}
	var text string
	switch p.rule {
	case "type":
		text = "must be " + typeNames(s.types) + " but is " + typeName(got)
		if n, ok := got.(json.Number); ok {
			text = "must be " + typeNames(s.types) + " but is " + show(n)
		}
	case "enum":
		text = "must be " + oneOf(s.allowed.values) + " but is " + show(got)
	case "const":
		text = "must be " + show(*s.constant) + " but is " + show(got)
	case "format":
		text = "must be " + tree.Formats[s.format.name] + " but is " + show(got)
	case "required":
		text = tree.Quote(p.name) + " is missing"
	case "dependentRequired":
		text = tree.Quote(p.name) + " is missing, which goes with " + tree.Quote(p.because)
	case "additionalProperties":
		text = r.undeclared(tokens[len(tokens)-1], s.declared)
	case "propertyNames":
		text = "the name " + tree.Quote(p.name) + " is not allowed: " + r.nameDetail(p)
	case "pattern":
		text = "must match " + tree.Cut(s.pattern.re.String(), 100) + " but is " + show(got)
	case "uniqueItems":
		text = fmt.Sprintf("items %d and %d are equal; each may be given once", p.counts[0], p.counts[1])
	case "contains":
		text = "no item is of the kind that must be in it"
	case "minContains":
		text = fmt.Sprintf("must hold at least %s of a kind but holds %d", withNoun(*s.minContains, "item"), p.counts[0])
	case "maxContains":
		text = fmt.Sprintf("must hold at most %s of a kind but holds %d", withNoun(*s.maxContains, "item"), p.counts[0])
	case "not":
		text = "must not be what the schema excludes"
	case "anyOf", "oneOf":
		text = fmt.Sprintf("matches none of the %d allowed forms", len(s.any)+len(s.one))
		if p.twice() {
			text = fmt.Sprintf("matches the forms %d and %d, but must match one only", p.counts[0]+1, p.counts[1]+1)
		}
	default:
		text = measure(p, got)
	}
	return tree.Cut(text, tree.MaxDetail)
}

// measure tells of sizes and bounds.
func measure(p *problem, got any) string {
	s := p.rules
	members, items, characters := 0, 0, 0
	switch v := got.(type) {
	case *object:
		members = len(v.members)
	case *array:
		items = len(v.items)
	case string:
		characters = utf8.RuneCountInString(v)
	}
	switch p.rule {
	case "minimum":
		return "must be >= " + tree.Bound(s.min.text) + " but is " + show(got)
	case "exclusiveMinimum":
		return "must be > " + tree.Bound(s.above.text) + " but is " + show(got)
	case "maximum":
		return "must be <= " + tree.Bound(s.max.text) + " but is " + show(got)
	case "exclusiveMaximum":
		return "must be < " + tree.Bound(s.below.text) + " but is " + show(got)
	case "multipleOf":
		return "must be a multiple of " + tree.Bound(s.multiple.text) + " but is " + show(got)
	case "minLength":
		return size("least", *s.minLength, "character", characters)
	case "maxLength":
		return size("most", *s.maxLength, "character", characters)
	case "minItems":
		return size("least", *s.minItems, "item", items)
	case "maxItems":
		return size("most", *s.maxItems, "item", items)
	case "minProperties":
		return size("least", *s.minProperties, "member", members)
	case "maxProperties":
		return size("most", *s.maxProperties, "member", members)
	}
	return "is not what the schema allows"
}

// undeclared is of a member that no schema names.
func (r *run) undeclared(name string, names []string) string {
	text := "is not a declared property"
	if len(names) == 0 {
		return "is not allowed: no property is declared here"
	}
	if !r.spend(8 * len(names)) {
		return text
	}
	if near := tree.Nearest(name, names); near != "" {
		return text + "; did you mean " + tree.Quote(near) + "?"
	}
	text += "; declared are "
	for i, n := range names {
		if i > 0 {
			text += ", "
		}
		if text += tree.Quote(n); len(text) > tree.MaxDetail {
			break // the rest would be cut
		}
	}
	return text
}

// twice says whether the value has two of the forms of oneOf.
func (p *problem) twice() bool { return p.counts[1] > 0 }

// closest tells of the form that the value misses by the least.
func (r *run) closest(p *problem, doc any) string {
	forms := p.rules.any
	if p.rule == "oneOf" {
		forms = p.rules.one
	}
	if p.rule != "anyOf" && p.rule != "oneOf" || p.twice() {
		return ""
	}
	v, _ := follow(doc, p.path)
	var best *faults
	for _, form := range forms {
		if found := r.explain(form, v, p.path, nil); found.first != nil && (best == nil || found.n < best.n) {
			best = found
		}
	}
	if best == nil || r.over {
		return ""
	}
	q := best.first
	return fmt.Sprintf("; of the closest one, %s: %s: %s", tree.ShownPointer(tree.Bounded(q.pointer(doc))), q.rule, r.detail(q, doc))
}

func size(most string, want int, what string, got int) string {
	return fmt.Sprintf("must have at %s %s but has %d", most, withNoun(want, what), got)
}

func withNoun(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// nameDetail says why the name of a member is wrong. The name is then the whole
// value.
func (r *run) nameDetail(p *problem) string {
	found := r.explain(p.rules.names, p.name, nil, nil)
	if found.first == nil {
		return "the schema allows none such"
	}
	return r.detail(found.first, p.name)
}

// show is a short excerpt of a value.
func show(v any) string {
	switch v := v.(type) {
	case string:
		return tree.Quote(v)
	case bool, int64:
		return fmt.Sprint(v)
	case json.Number:
		return tree.Cut(string(v), tree.MaxExcerpt)
	}
	return typeName(v)
}

func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case *array:
		return "an array"
	case *object:
		return "an object"
	default:
		if tree.IsInteger(v) {
			return "an integer"
		}
		return "a number"
	}
}

func typeNames(want tree.Types) string {
	var list []string
	for _, name := range tree.TypeOrder {
		if bits := tree.TypeBits[name]; want&bits != bits || name == "integer" && want&tree.TypeFraction != 0 {
			continue
		}
		switch name {
		case "null":
		case "array", "object", "integer":
			name = "an " + name
		default:
			name = "a " + name
		}
		list = append(list, name)
	}
	return strings.Join(list, " or ")
}

// oneOf lists what is allowed, as far as it is short.
func oneOf(want []any) string { return tree.OneOf(want, show) }
