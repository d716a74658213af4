package quick

import (
	"encoding/json"
	"unicode/utf8"
)

// ok judges v. In a run that explains, it reports every fault of v as well. seen
// is what of v other schemas have evaluated; nil where nobody asks.
func (s *rules) ok(r *run, v any, seen *evaluated) bool {
	if !r.spend(1) {
		return false
	}
	if s.always || s.never {
		if s.never {
			r.refuses(s, falseRule(s.location))
		}
		return s.always
	}
	if valid, known := r.recall(s, v, seen); known {
		return valid
	}
	if r.depth++; r.depth > maxNesting {
		r.depth--
		r.deep, r.left = true, -1
		return r.look()
	}
	before, scope := r.bad, len(r.scope)
	if s.resource != nil {
		r.scope = append(r.scope, s.resource)
	}
	valid := s.judge(r, v, seen) && r.bad == before && !r.over
	r.scope = r.scope[:scope]
	r.depth--
	r.remember(s, v, seen, valid)
	return valid
}

func (s *rules) judge(r *run, v any, seen *evaluated) bool {
	if n, ok := v.(json.Number); ok && !r.spend(numberCost(n)) {
		return false
	}
	switch {
	case s.types != 0 && !hasType(s.types, v):
		r.refuses(s, "type")
		return false
	case s.constant != nil && !r.equal(v, *s.constant):
		r.refuses(s, "const")
		return false
	case s.allowed != nil && !s.allowed.has(r, v):
		r.refuses(s, "enum")
		return false
	case s.format != nil && !s.format.ok(r, v):
		r.refuses(s, "format")
		return false
	}
	if seen == nil && (s.unevaluatedProperties != nil || s.unevaluatedItems != nil) {
		if seen = newEvaluated(v); !r.spend(len(seen.bits)) {
			return false
		}
	}
	if s.ref != nil && !s.ref.here(r, v, seen) && r.decides() {
		return false
	}
	switch v := v.(type) {
	case *object:
		if !s.object(r, v, seen) {
			return false
		}
	case *array:
		if !s.array(r, v, seen) {
			return false
		}
	case string:
		if !s.text(r, v) {
			return false
		}
	case bool, nil:
	default:
		if !s.number(r, v) {
			return false
		}
	}
	if s.dynamic != nil && !s.dynamic.resolve(r.scope).here(r, v, seen) && r.decides() {
		return false
	}
	return (!s.combines || s.combined(r, v, seen)) && s.unevaluated(r, v, seen)
}

// here judges the same value as the schema that asks.
func (s *rules) here(r *run, v any, seen *evaluated) bool {
	if seen == nil {
		return s.ok(r, v, nil)
	}
	own := seen.fresh()
	if !r.spend(len(own.bits)) || !s.ok(r, v, own) {
		return false
	}
	seen.merge(own)
	return true
}

// child judges the value i of the container that r is at.
func (s *rules) child(r *run, container, v any, i int) bool {
	if r.faults == nil {
		return s.ok(r, v, nil)
	}
	was := r.at
	r.at = place{container, i}
	r.path = append(r.path, i)
	valid := s.ok(r, v, nil)
	r.at, r.path = was, r.path[:len(r.path)-1]
	return valid
}

func (s *rules) number(r *run, v any) bool {
	ended := s.min != nil && s.min.compare(r, v) < 0 && r.refuses(s, "minimum") ||
		s.max != nil && s.max.compare(r, v) > 0 && r.refuses(s, "maximum") ||
		s.above != nil && s.above.compare(r, v) <= 0 && r.refuses(s, "exclusiveMinimum") ||
		s.below != nil && s.below.compare(r, v) >= 0 && r.refuses(s, "exclusiveMaximum") ||
		s.multiple != nil && !s.multiple.divides(r, v) && r.refuses(s, "multipleOf")
	return !ended
}

func (s *rules) text(r *run, v string) bool {
	if s.minLength != nil || s.maxLength != nil {
		if !r.spend(len(v) / 16) { // four characters of a script that takes four bytes for each
			return false
		}
		n := utf8.RuneCountInString(v)
		if s.minLength != nil && n < *s.minLength && r.refuses(s, "minLength") ||
			s.maxLength != nil && n > *s.maxLength && r.refuses(s, "maxLength") {
			return false
		}
	}
	return s.pattern == nil || s.pattern.match(r, v) || !r.refuses(s, "pattern")
}

func (s *rules) array(r *run, list *array, seen *evaluated) bool {
	n := len(list.items)
	if s.minItems != nil && n < *s.minItems && r.refuses(s, "minItems") ||
		s.maxItems != nil && n > *s.maxItems && r.refuses(s, "maxItems") {
		return false
	}
	if s.unique {
		if i, j, found := r.duplicates(list.items); found && r.refuses(s, "uniqueItems", i, j) {
			return false
		}
	}
	for i, item := range list.items {
		sub := s.items
		if i < len(s.prefix) {
			sub = s.prefix[i]
		}
		if sub == nil {
			break // and so for all that follow
		}
		if !sub.child(r, list, item, i) && r.decides() {
			return false
		}
		seen.mark(i)
	}
	return s.contains == nil || s.contained(r, list, seen)
}

func (s *rules) contained(r *run, list *array, seen *evaluated) bool {
	found := 0
	for i, item := range list.items {
		if r.decide(s.contains, item) {
			found++
			seen.mark(i)
		}
	}
	rule, least := "contains", 1
	if s.minContains != nil {
		rule, least = "minContains", *s.minContains
	}
	ended := found < least && r.refuses(s, rule, found) ||
		s.maxContains != nil && found > *s.maxContains && r.refuses(s, "maxContains", found)
	return !ended
}

func (s *rules) object(r *run, o *object, seen *evaluated) bool {
	n := len(o.members)
	if s.minProperties != nil && n < *s.minProperties && r.refuses(s, "minProperties") ||
		s.maxProperties != nil && n > *s.maxProperties && r.refuses(s, "maxProperties") ||
		!s.hasAll(r, o, s.required, "required", "") {
		return false
	}
	if len(s.properties) > 0 || s.patterns != nil || s.closed || s.additional != nil || s.names != nil {
		for i, m := range o.members {
			if !s.member(r, o, m, i, seen) {
				return false
			}
		}
	}
	for _, d := range s.dependentRequired {
		if !r.spend(1 + textCost(d.name)) {
			return false
		}
		if _, given := o.get(d.name); given && !s.hasAll(r, o, d.needs, "dependentRequired", d.name) {
			return false
		}
	}
	for _, d := range s.dependentSchemas {
		if !r.spend(1 + textCost(d.name)) {
			return false
		}
		if _, given := o.get(d.name); given && !d.rules.here(r, o, seen) && r.decides() {
			return false
		}
	}
	return true
}

// member judges the member i of o and its name.
func (s *rules) member(r *run, o *object, m entry, i int, seen *evaluated) bool {
	if !r.spend(1 + textCost(m.name)) { // a name can be as long as the event
		return false
	}
	sub, known := s.properties[m.name]
	if known && !sub.child(r, o, m.value, i) && r.decides() {
		return false
	}
	for _, p := range s.patterns {
		if p.match(r, m.name) {
			known = true
			if !p.rules.child(r, o, m.value, i) && r.decides() {
				return false
			}
		}
	}
	switch {
	case known:
		seen.mark(i)
	case s.closed:
		if r.refusesMember(s, "additionalProperties", m.name, i) {
			return false
		}
	case s.additional != nil:
		if !s.additional.child(r, o, m.value, i) && r.decides() {
			return false
		}
		seen.mark(i)
	}
	return s.names == nil || r.decide(s.names, m.name) || !r.refusesMember(s, "propertyNames", m.name, i)
}

// hasAll asks for members. because is the one that needs them.
func (s *rules) hasAll(r *run, o *object, names []string, rule, because string) bool {
	for nth, name := range names {
		if !r.spend(1 + textCost(name)) {
			return false
		}
		if _, given := o.get(name); !given && r.refusesMissing(s, rule, name, because, nth) {
			return false
		}
	}
	return true
}

// combined is what the keywords that hold schemas for the value itself ask.
func (s *rules) combined(r *run, v any, seen *evaluated) bool {
	if s.not != nil && r.decide(s.not, v) && r.refuses(s, "not") {
		return false
	}
	for _, sub := range s.all {
		if !sub.here(r, v, seen) && r.decides() {
			return false
		}
	}
	if s.any != nil && !s.anyOf(r, v, seen) && r.refuses(s, "anyOf") {
		return false
	}
	if s.one != nil && !s.oneOf(r, v, seen) {
		return false
	}
	if s.when == nil {
		return true
	}
	next := s.otherwise
	if r.decideHere(s.when, v, seen) {
		next = s.then
	}
	return next == nil || next.here(r, v, seen) || !r.decides()
}

func (s *rules) anyOf(r *run, v any, seen *evaluated) bool {
	matched := false
	for _, sub := range s.any {
		if r.decideHere(sub, v, seen) {
			if matched = true; seen == nil {
				break
			}
		}
	}
	return matched
}

func (s *rules) oneOf(r *run, v any, seen *evaluated) bool {
	first := -1
	for i, sub := range s.one {
		switch {
		case !r.decideHere(sub, v, seen):
		case first >= 0:
			return !r.refuses(s, "oneOf", first, i)
		default:
			first = i
		}
	}
	return first >= 0 || !r.refuses(s, "oneOf")
}

// unevaluated judges what no other keyword has looked at.
func (s *rules) unevaluated(r *run, v any, seen *evaluated) bool {
	switch v := v.(type) {
	case *object:
		if s.unevaluatedProperties == nil {
			return true
		}
		for i, m := range v.members {
			if !seen.has(i) && !s.unevaluatedProperties.child(r, v, m.value, i) && r.decides() {
				return false
			}
		}
		seen.markAll()
	case *array:
		if s.unevaluatedItems == nil {
			return true
		}
		for i, item := range v.items {
			if !seen.has(i) && !s.unevaluatedItems.child(r, v, item, i) && r.decides() {
				return false
			}
		}
		seen.markAll()
	}
	return true
}

// duplicates finds the first two items that are equal. It charges for its table
// first: two equal items at the begin of many took all of it for nothing.
func (r *run) duplicates(list []any) (first, second int, found bool) {
	if len(list) < 2 || !r.spend(4*len(list)) {
		return 0, 0, false
	}
	last := make(map[uint64]int, len(list)) // the last item of a hash, counted from 1
	before := make([]int, len(list))        // the one before it that has the same
	for j, item := range list {
		h := r.hash(item)
		if r.over {
			return 0, 0, false
		}
		for i := last[h]; i > 0; i = before[i-1] {
			if r.equal(list[i-1], item) {
				return i - 1, j, true
			}
		}
		before[j], last[h] = last[h], j+1
	}
	return 0, 0, false
}
