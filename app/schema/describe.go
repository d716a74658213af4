package schema

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// detail says what is wrong with the value at p and what is allowed. doc is the
// whole event, decoded. The library's own texts are not used: they repeat values
// whole and print bounds as float64.
func (p *problem) detail(doc any) string {
	got := lookup(doc, p.loc)
	var s string
	switch k := p.err.ErrorKind.(type) {
	case *kind.Type:
		s = "must be " + typeNames(k.Want) + " but is " + typeName(got)
		if n, ok := got.(json.Number); ok {
			s = "must be " + typeNames(k.Want) + " but is " + show(n)
		}
	case *kind.Enum:
		s = "must be " + oneOf(k.Want) + " but is " + show(got)
	case *kind.Const:
		s = "must be " + show(k.Want) + " but is " + show(got)
	case *kind.Format:
		s = "must be " + formats[k.Want] + " but is " + show(got)
	case *kind.Required:
		s = quote(p.name) + " is missing"
	case *kind.DependentRequired:
		s = quote(p.name) + " is missing, which goes with " + quote(k.Prop)
	case *kind.FalseSchema:
		s = "is not allowed"
	case *kind.PropertyNames:
		s = "the name " + quote(k.Property) + " is not allowed: " + nameDetail(p, k.Property)
	case *kind.Pattern:
		s = "must match " + cut(k.Want, 100) + " but is " + show(got)
	case *kind.UniqueItems:
		s = fmt.Sprintf("items %d and %d are equal; each may be given once", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains:
		s = "no item is of the kind that must be in it"
	case *kind.MinContains:
		s = fmt.Sprintf("must hold at least %d items of a kind but holds %d", k.Want, len(k.Got))
	case *kind.MaxContains:
		s = fmt.Sprintf("must hold at most %d items of a kind but holds %d", k.Want, len(k.Got))
	case *kind.Not:
		s = "must not be what the schema excludes"
	case *kind.AnyOf:
		s = fmt.Sprintf("matches none of the %d allowed forms", len(p.err.Causes))
	case *kind.OneOf:
		s = fmt.Sprintf("matches none of the %d allowed forms", len(p.err.Causes))
		if len(k.Subschemas) == 2 {
			s = fmt.Sprintf("matches the forms %d and %d, but must match one only", k.Subschemas[0]+1, k.Subschemas[1]+1)
		}
	case *kind.RefCycle:
		s = "the schema refers to itself without end"
	default:
		s = measure(k, got)
	}
	return cut(s, maxDetail)
}

// measure tells of sizes and bounds.
func measure(k any, got any) string {
	switch k := k.(type) {
	case *kind.Minimum:
		return "must be >= " + bound(ratText(k.Want)) + " but is " + show(got)
	case *kind.ExclusiveMinimum:
		return "must be > " + bound(ratText(k.Want)) + " but is " + show(got)
	case *kind.Maximum:
		return "must be <= " + bound(ratText(k.Want)) + " but is " + show(got)
	case *kind.ExclusiveMaximum:
		return "must be < " + bound(ratText(k.Want)) + " but is " + show(got)
	case *kind.MultipleOf:
		return "must be a multiple of " + bound(ratText(k.Want)) + " but is " + show(got)
	case *kind.MinLength:
		return size("least", k.Want, "character", k.Got)
	case *kind.MaxLength:
		return size("most", k.Want, "character", k.Got)
	case *kind.MinItems:
		return size("least", k.Want, "item", k.Got)
	case *kind.MaxItems:
		return size("most", k.Want, "item", k.Got)
	case *kind.MinProperties:
		return size("least", k.Want, "member", k.Got)
	case *kind.MaxProperties:
		return size("most", k.Want, "member", k.Got)
	}
	return "is not what the schema allows"
}

func bound(s string) string { return cut(s, maxExcerpt) }

func size(most string, want int, what string, got int) string {
	if want != 1 {
		what += "s"
	}
	return fmt.Sprintf("must have at %s %d %s but has %d", most, want, what, got)
}

// nameDetail says why the name of a member is wrong. Its causes are about the name
// itself, which is then the whole value.
func nameDetail(p *problem, name string) string {
	var list []problem
	for _, c := range p.err.Causes {
		list = collect(c, list)
	}
	if len(list) == 0 {
		return "the schema allows none such"
	}
	best := &list[0]
	for i := range list {
		if list[i].compare(best) < 0 {
			best = &list[i]
		}
	}
	best.loc = nil
	return best.detail(name)
}

func lookup(doc any, loc []string) any {
	for _, tok := range loc {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[tok]
		case []any:
			i, err := strconv.Atoi(tok)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			doc = v[i]
		default:
			return nil
		}
	}
	return doc
}

// show is a short excerpt of a value.
func show(v any) string {
	switch v := v.(type) {
	case string:
		return quote(v)
	case bool, int64:
		return fmt.Sprint(v)
	case json.Number:
		return cut(string(v), maxExcerpt)
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
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	default:
		if isInteger(v) {
			return "an integer"
		}
		return "a number"
	}
}

func typeNames(want []string) string {
	list := make([]string, len(want))
	for i, w := range want {
		switch w {
		case "null":
			list[i] = w
		case "array", "object", "integer":
			list[i] = "an " + w
		default:
			list[i] = "a " + w
		}
	}
	return strings.Join(list, " or ")
}

// oneOf lists what is allowed, as far as it is short.
func oneOf(want []any) string {
	if len(want) == 1 {
		return show(want[0])
	}
	s := "one of "
	for i, w := range want {
		next := show(w)
		if i > 0 {
			s += ", "
		}
		if len(s)+len(next) > 200 {
			return s + "..."
		}
		s += next
	}
	return s
}
