package schema

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// problem is one thing that the library found wrong with a value.
type problem struct {
	loc  []string // tokens of the pointer to the value
	rule string
	name string // of the property that is missing
	nth  int    // which of those that the rule names
	err  *jsonschema.ValidationError
}

// problemsOf flattens what the library returns, in no particular order: it walks
// Go maps.
func problemsOf(err error) []problem {
	var verr *jsonschema.ValidationError
	if !errors.As(err, &verr) {
		return nil
	}
	return collect(verr, nil)
}

func collect(e *jsonschema.ValidationError, list []problem) []problem {
	p := problem{loc: e.InstanceLocation, err: e}
	switch k := e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		for _, c := range e.Causes {
			list = collect(c, list)
		}
		return list
	case *kind.Required:
		p.rule = "required"
		for p.nth, p.name = range k.Missing {
			list = append(list, p)
		}
		return list
	case *kind.DependentRequired:
		p.rule = "dependentRequired"
		for p.nth, p.name = range k.Missing {
			list = append(list, p)
		}
		return list
	case *kind.AdditionalProperties:
		p.rule = "additionalProperties"
		for _, name := range k.Properties {
			p.loc = append(slices.Clone(e.InstanceLocation), name)
			list = append(list, p)
		}
		return list
	case *kind.PropertyNames:
		p.loc = append(slices.Clone(e.InstanceLocation), k.Property)
	}
	p.rule = ruleOf(e)
	return append(list, p)
}

func ruleOf(e *jsonschema.ValidationError) string {
	switch k := e.ErrorKind.(type) {
	case *kind.Not:
		return "not"
	case *kind.RefCycle:
		return "$ref"
	case *kind.FalseSchema:
		return falseRule(e.SchemaURL)
	default:
		if path := k.KeywordPath(); len(path) > 0 {
			return path[0]
		}
		return "schema"
	}
}

// falseRule names the keyword whose schema is false: the last but one token where
// the last is a name or an index.
func falseRule(schemaURL string) string {
	_, ptr, _ := strings.Cut(schemaURL, "#")
	toks := strings.Split(ptr, "/")
	for _, t := range slices.Backward(toks[max(0, len(toks)-2):]) {
		if h := keywords[t]; h != 0 && h != holdsData {
			if t == "$defs" {
				break
			}
			return t
		}
	}
	return "schema"
}

// rank orders the rules that one value breaks: what it is comes first.
var rank = func() map[string]int {
	m := map[string]int{}
	for i, r := range []string{
		"schema", "type", "const", "enum", "required", "dependentRequired", "format", "pattern", "minLength", "maxLength",
		"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems",
	} {
		m[r] = i - 100
	}
	return m
}()

// compare orders the problems of one value.
func (p *problem) compare(q *problem) int {
	return cmp.Or(rank[p.rule]-rank[q.rule], strings.Compare(p.rule, q.rule),
		strings.Compare(p.err.SchemaURL, q.err.SchemaURL), p.nth-q.nth, strings.Compare(p.name, q.name))
}
