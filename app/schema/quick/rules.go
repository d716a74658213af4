package quick

import "eventserver/app/schema/tree"

// rules is one schema, compiled. A nil pointer or zero field asks for nothing.
type rules struct {
	location string // the schema's URL, which orders faults
	shared   bool   // several schemas lead here
	combines bool   // asks other schemas of the same value

	always, never bool
	types         tree.Types
	allowed       *enum
	constant      *any
	format        *format
	ref           *rules
	dynamic       *dynamicRef
	resource      *resource // where $dynamicRef is used

	min, max, above, below, multiple *limit
	minLength, maxLength             *int
	pattern                          *pattern

	minItems, maxItems, minContains, maxContains *int
	unique                                       bool
	prefix                                       []*rules
	items, contains, unevaluatedItems            *rules

	minProperties, maxProperties             *int
	required                                 []string
	properties                               map[string]*rules
	declared                                 []string // the names of properties, sorted, where others are refused
	patterns                                 []patternRules
	closed                                   bool
	additional, names, unevaluatedProperties *rules
	dependentRequired                        []dependent
	dependentSchemas                         []dependentRules

	not, then, otherwise, when *rules
	all, any, one              []*rules
}

type patternRules struct {
	*pattern
	rules *rules
}

type dependent struct {
	name  string
	needs []string
}

type dependentRules struct {
	name  string
	rules *rules
}

// enum finds one of many values by its hash.
type enum struct {
	values []any
	byHash map[uint64][]any // nil: they are few
}

// fewValues are compared as fast one by one.
const fewValues = 8

func newEnum(values []any) *enum {
	e := &enum{values: make([]any, len(values))}
	for i, v := range values {
		e.values[i] = constant(v)
	}
	if len(values) > fewValues {
		e.byHash = map[uint64][]any{}
		for _, v := range e.values {
			h := unlimited().hash(v)
			e.byHash[h] = append(e.byHash[h], v)
		}
	}
	return e
}

func (e *enum) has(r *run, v any) bool {
	list := e.values
	if e.byHash != nil && r.spend(4) {
		list = e.byHash[r.hash(v)]
	}
	for _, w := range list {
		if r.equal(v, w) {
			return true
		}
	}
	return false
}

// limit is a bound of numbers, also as an int64 where it is one.
type limit struct {
	value tree.Exact
	small *int64
	text  string
}

// compare is the sign of v minus the limit.
func (l *limit) compare(r *run, v any) int {
	if n, ok := v.(int64); ok && l.small != nil {
		switch {
		case n < *l.small:
			return -1
		case n > *l.small:
			return 1
		}
		return 0
	}
	r.spend(2 + numberCost(v))
	d, _ := tree.ExactOf(v)
	return d.Compare(l.value)
}

func (l *limit) divides(r *run, v any) bool {
	if n, ok := v.(int64); ok && l.small != nil && *l.small != 0 {
		return n%*l.small == 0
	}
	d, _ := tree.ExactOf(v)
	apart := max(d.Exp-l.value.Exp, l.value.Exp-d.Exp)
	return r.spend(numberCost(v)+len(d.Digits)+len(l.value.Digits)+apart) && d.MultipleOf(l.value)
}
