package schema

import (
	"encoding/json"
	"math/big"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// newQuick compiles what the library has compiled; nil when one schema has a
// keyword that quick does not know.
func newQuick(s *jsonschema.Schema) *quick {
	b := &quickBuilder{done: map[*jsonschema.Schema]*rules{}}
	root := b.rules(s)
	if b.unknown {
		return nil
	}
	return &quick{root: root}
}

type quickBuilder struct {
	done    map[*jsonschema.Schema]*rules
	unknown bool
}

func (b *quickBuilder) rules(s *jsonschema.Schema) *rules {
	if s == nil {
		return nil
	}
	if r := b.done[s]; r != nil {
		return r
	}
	r := &rules{}
	b.done[s] = r
	if s.Bool != nil {
		r.always, r.never = *s.Bool, !*s.Bool
		return r
	}
	// unevaluated* needs to know who looked at what; $dynamicRef, who called.
	if s.DraftVersion != 2020 || s.DynamicRef != nil || s.RecursiveRef != nil || s.UnevaluatedProperties != nil ||
		s.UnevaluatedItems != nil || s.Dependencies != nil || s.Extensions != nil {
		b.unknown = true
		return r
	}
	if s.Types != nil {
		for _, name := range s.Types.ToStrings() {
			r.types |= typeBits[name]
		}
	}
	if s.Enum != nil {
		r.allowed = s.Enum.Values
		if r.allowed == nil {
			r.allowed = []any{}
		}
	}
	r.constant, r.format, r.ref = s.Const, s.Format, b.rules(s.Ref)
	r.not, r.when, r.then, r.otherwise = b.rules(s.Not), b.rules(s.If), b.rules(s.Then), b.rules(s.Else)
	r.all, r.any, r.one = b.list(s.AllOf), b.list(s.AnyOf), b.list(s.OneOf)
	b.scalars(s, r)
	b.objects(s, r)
	r.minItems, r.maxItems, r.unique = s.MinItems, s.MaxItems, s.UniqueItems
	r.prefix, r.items = b.list(s.PrefixItems), b.rules(s.Items2020)
	r.contains, r.minContains, r.maxContains = b.rules(s.Contains), s.MinContains, s.MaxContains
	return r
}

func (b *quickBuilder) scalars(s *jsonschema.Schema, r *rules) {
	r.min, r.max = newLimit(s.Minimum), newLimit(s.Maximum)
	r.above, r.below = newLimit(s.ExclusiveMinimum), newLimit(s.ExclusiveMaximum)
	r.multiple = newLimit(s.MultipleOf)
	r.minLength, r.maxLength, r.pattern = s.MinLength, s.MaxLength, s.Pattern
}

func (b *quickBuilder) objects(s *jsonschema.Schema, r *rules) {
	r.minProperties, r.maxProperties, r.required = s.MinProperties, s.MaxProperties, s.Required
	r.properties, r.dependentSchemas = b.mapped(s.Properties), b.mapped(s.DependentSchemas)
	r.dependentRequired, r.names = s.DependentRequired, b.rules(s.PropertyNames)
	for re, sub := range s.PatternProperties {
		r.patterns = append(r.patterns, pattern{re, b.rules(sub)})
	}
	switch open := s.AdditionalProperties.(type) {
	case bool:
		r.closed = !open
	case *jsonschema.Schema:
		r.additional = b.rules(open)
	}
}

func (b *quickBuilder) list(list []*jsonschema.Schema) []*rules {
	var out []*rules
	for _, s := range list {
		out = append(out, b.rules(s))
	}
	return out
}

func (b *quickBuilder) mapped(m map[string]*jsonschema.Schema) map[string]*rules {
	out := make(map[string]*rules, len(m))
	for name, s := range m {
		out[name] = b.rules(s)
	}
	return out
}

func newLimit(r *big.Rat) *limit {
	if r == nil {
		return nil
	}
	l := &limit{exact: r}
	if r.IsInt() && r.Num().IsInt64() {
		n := r.Num().Int64()
		l.small = &n
	}
	return l
}

// types is a set of JSON's types. A number is an integer or it is not, so that
// "number" is both.
type types uint8

const (
	typeNull types = 1 << iota
	typeBool
	typeInteger
	typeFraction
	typeString
	typeArray
	typeObject
	anyType = typeNull | typeBool | typeInteger | typeFraction | typeString | typeArray | typeObject
)

var typeBits = map[string]types{
	"null": typeNull, "boolean": typeBool, "integer": typeInteger, "number": typeInteger | typeFraction,
	"string": typeString, "array": typeArray, "object": typeObject,
}

func (t types) has(v any) bool {
	switch v := v.(type) {
	case nil:
		return t&typeNull != 0
	case bool:
		return t&typeBool != 0
	case string:
		return t&typeString != 0
	case []any:
		return t&typeArray != 0
	case map[string]any:
		return t&typeObject != 0
	case int64:
		return t&typeInteger != 0
	default:
		if t&typeInteger != 0 && t&typeFraction != 0 {
			return true
		}
		return t&typeInteger != 0 && isInteger(v) || t&typeFraction != 0 && !isInteger(v)
	}
}

// equal is JSON Schema's equality: numbers by value, objects without order.
func equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for name, v := range a {
			if w, given := b[name]; !given || !equal(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	case int64:
		if b, ok := b.(int64); ok {
			return a == b
		}
		return sameNumber(a, b)
	case json.Number:
		return sameNumber(a, b)
	}
	switch b.(type) {
	case map[string]any, []any: // not comparable
		return false
	}
	return a == b
}

func sameNumber(a, b any) bool {
	x, y := rat(a), rat(b)
	return x != nil && y != nil && x.Cmp(y) == 0
}
