package schema

import (
	"math/big"
	"slices"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// quick answers only whether a value is valid, for the schemas that it can decide
// whole. The library takes 11 µs for an event of 200 bytes, half of it for making
// fractions of numbers and half for what an error would need; most events have
// none. Where quick does not say yes, the library decides.
type quick struct{ root *rules }

// rules is one schema, compiled. A nil pointer or zero field asks for nothing.
type rules struct {
	always, never bool
	types         types
	allowed       []any // enum
	constant      *any
	format        *jsonschema.Format
	ref           *rules

	min, max, above, below, multiple *limit
	minLength, maxLength             *int
	pattern                          jsonschema.Regexp

	minItems, maxItems, minContains, maxContains *int
	unique                                       bool
	prefix                                       []*rules
	items, contains                              *rules

	minProperties, maxProperties *int
	required                     []string
	properties                   map[string]*rules
	patterns                     []pattern
	closed                       bool
	additional, names            *rules
	dependentRequired            map[string][]string
	dependentSchemas             map[string]*rules

	not, then, otherwise, when *rules
	all, any, one              []*rules
}

type pattern struct {
	re    jsonschema.Regexp
	rules *rules
}

// limit is a bound of numbers, also as an int64 where it is one.
type limit struct {
	exact *big.Rat
	small *int64
}

// compare is the sign of v minus the limit.
func (l *limit) compare(v any) int {
	if n, ok := v.(int64); ok && l.small != nil {
		switch {
		case n < *l.small:
			return -1
		case n > *l.small:
			return 1
		}
		return 0
	}
	return rat(v).Cmp(l.exact)
}

func (l *limit) divides(v any) bool {
	if n, ok := v.(int64); ok && l.small != nil && *l.small != 0 {
		return n%*l.small == 0
	}
	return new(big.Rat).Quo(rat(v), l.exact).IsInt()
}

// run is one validation. An endless chain of $ref ends at its depth, undecided.
type run struct {
	depth     int
	undecided bool
}

const maxSteps = 1000

func (q *quick) accepts(v any) bool {
	if q == nil {
		return false
	}
	var r run
	return q.root.ok(&r, v) && !r.undecided
}

func (s *rules) ok(r *run, v any) bool {
	if s.always || s.never {
		return s.always
	}
	if r.depth++; r.depth > maxSteps {
		r.undecided = true
		return false
	}
	defer func() { r.depth-- }()
	if s.types != 0 && !s.types.has(v) ||
		s.constant != nil && !equal(v, *s.constant) ||
		s.allowed != nil && !slices.ContainsFunc(s.allowed, func(w any) bool { return equal(v, w) }) ||
		s.format != nil && s.format.Validate(v) != nil ||
		s.ref != nil && !s.ref.ok(r, v) {
		return false
	}
	switch v := v.(type) {
	case map[string]any:
		if !s.object(r, v) {
			return false
		}
	case []any:
		if !s.array(r, v) {
			return false
		}
	case string:
		if !s.text(v) {
			return false
		}
	case bool, nil:
	default:
		if !s.number(v) {
			return false
		}
	}
	return s.combined(r, v)
}

func (s *rules) number(v any) bool {
	return (s.min == nil || s.min.compare(v) >= 0) && (s.max == nil || s.max.compare(v) <= 0) &&
		(s.above == nil || s.above.compare(v) > 0) && (s.below == nil || s.below.compare(v) < 0) &&
		(s.multiple == nil || s.multiple.divides(v))
}

func (s *rules) text(v string) bool {
	if s.minLength != nil || s.maxLength != nil {
		if !within(utf8.RuneCountInString(v), s.minLength, s.maxLength) {
			return false
		}
	}
	return s.pattern == nil || s.pattern.MatchString(v)
}

func within(n int, least, most *int) bool {
	return (least == nil || n >= *least) && (most == nil || n <= *most)
}

func (s *rules) array(r *run, list []any) bool {
	if !within(len(list), s.minItems, s.maxItems) {
		return false
	}
	for i, item := range list {
		if i < len(s.prefix) {
			if !s.prefix[i].ok(r, item) {
				return false
			}
		} else if s.items != nil && !s.items.ok(r, item) {
			return false
		}
	}
	if s.unique {
		if len(list) > 20 { // the library has a table for these
			r.undecided = true
			return false
		}
		for i := range list {
			if slices.ContainsFunc(list[:i], func(w any) bool { return equal(list[i], w) }) {
				return false
			}
		}
	}
	if s.contains == nil {
		return true
	}
	found, least := 0, 1
	for _, item := range list {
		if s.contains.ok(r, item) {
			found++
		}
	}
	if s.minContains != nil {
		least = *s.minContains
	}
	return within(found, &least, s.maxContains)
}

func (s *rules) object(r *run, m map[string]any) bool {
	if !within(len(m), s.minProperties, s.maxProperties) || !hasAll(m, s.required) {
		return false
	}
	for name, v := range m {
		sub, known := s.properties[name]
		if known && !sub.ok(r, v) {
			return false
		}
		for _, p := range s.patterns {
			if p.re.MatchString(name) {
				known = true
				if !p.rules.ok(r, v) {
					return false
				}
			}
		}
		if !known && (s.closed || s.additional != nil && !s.additional.ok(r, v)) {
			return false
		}
		if s.names != nil && !s.names.ok(r, name) {
			return false
		}
	}
	for name, list := range s.dependentRequired {
		if _, given := m[name]; given && !hasAll(m, list) {
			return false
		}
	}
	for name, sub := range s.dependentSchemas {
		if _, given := m[name]; given && !sub.ok(r, m) {
			return false
		}
	}
	return true
}

func hasAll(m map[string]any, names []string) bool {
	for _, name := range names {
		if _, given := m[name]; !given {
			return false
		}
	}
	return true
}

// combined is what the keywords that hold schemas for the value itself ask.
func (s *rules) combined(r *run, v any) bool {
	if s.not != nil && s.not.ok(r, v) {
		return false
	}
	for _, sub := range s.all {
		if !sub.ok(r, v) {
			return false
		}
	}
	if s.any != nil && !slices.ContainsFunc(s.any, func(sub *rules) bool { return sub.ok(r, v) }) {
		return false
	}
	if s.one != nil {
		matched := 0
		for _, sub := range s.one {
			if sub.ok(r, v) {
				matched++
			}
		}
		if matched != 1 {
			return false
		}
	}
	if s.when == nil {
		return true
	}
	next := s.otherwise
	if s.when.ok(r, v) {
		next = s.then
	}
	return next == nil || next.ok(r, v)
}
