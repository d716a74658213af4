package evolve

import (
	"eventserver/app/schema/tree"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// differ compares two schemas, place by place.
type differ struct {
	old, new *tree.Document
	oldDrop  map[string]bool // members of the top that were not validated
	changes  []Change
	active   map[string]bool // pairs being compared: a recursion ends there
	same     map[string]bool // pairs found without a change
	left     *int            // comparisons
	probe    bool            // only whether there is a change
	full     bool            // a limit was reached
}

func (d *differ) add(ptr, kind, detail string, breaking bool) {
	switch {
	case d.full:
		return
	case len(d.changes) == maxChanges || *d.left < 0:
		d.full = true
		ptr, kind, detail, breaking = "", KindCannotBeCompared, tooManyChanges, true
	}
	d.changes = append(d.changes, Change{Pointer: ptr, Kind: kind, Detail: detail, Breaking: breaking})
}

func (d *differ) breaks(ptr, kind, detail string) { d.add(ptr, kind, detail, true) }
func (d *differ) notes(ptr, kind, detail string)  { d.add(ptr, kind, detail, false) }

func (d *differ) done() bool { return d.full || d.probe && len(d.changes) > 0 }

// compare lists the changes between the schemas old and new of one value, all of
// which hold.
func (d *differ) compare(ptr string, old, new []*tree.Value) {
	if d.done() {
		return
	}
	if *d.left--; *d.left < 0 {
		d.add("", "", "", true) // add says that a limit was reached
		return
	}
	o, n := viewOf(d.old, old), viewOf(d.new, new)
	pair := identity(o) + "|" + identity(n)
	if d.active[pair] || d.same[pair] {
		return
	}
	d.active[pair] = true
	before := len(d.changes)
	d.views(ptr, o, n)
	delete(d.active, pair)
	if len(d.changes) == before {
		d.same[pair] = true
	}
}

func identity(v *view) string {
	ids := make([]string, len(v.nodes))
	for i, s := range v.nodes {
		ids[i] = fmt.Sprintf("%p", s)
	}
	slices.Sort(ids)
	return strings.Join(ids, ",")
}

func (d *differ) views(ptr string, o, n *view) {
	switch {
	case o.never && n.never:
		return
	case n.never:
		d.breaks(ptr, KindNothingAllowed, "no value is valid any more")
		return
	case o.never:
		d.notes(ptr, KindAllowed, "no value was valid before")
		return
	}
	d.types(ptr, o, n)
	d.values(ptr, o, n)
	both := o.types & n.types
	if both&(tree.TypeInteger|tree.TypeFraction) != 0 {
		d.edges(ptr, o, n, "minimum", "exclusiveMinimum", 1)
		d.edges(ptr, o, n, "maximum", "exclusiveMaximum", -1)
		d.multiples(ptr, o, n)
	}
	if both&tree.TypeString != 0 {
		d.edges(ptr, o, n, "minLength", "", 1)
		d.edges(ptr, o, n, "maxLength", "", -1)
		d.texts(ptr, o, n, "pattern", KindPatternAdded, KindPatternChanged, KindPatternRemoved)
		d.texts(ptr, o, n, "format", KindFormatAdded, KindFormatChanged, KindFormatRemoved)
	}
	if both&tree.TypeArray != 0 {
		d.edges(ptr, o, n, "minItems", "", 1)
		d.edges(ptr, o, n, "maxItems", "", -1)
		d.unique(ptr, o, n)
		d.opaque(ptr, o, n, "prefixItems", "contains", "minContains", "maxContains", "unevaluatedItems")
		d.compare(ptr+"/items", o.all("items"), n.all("items"))
	}
	if both&tree.TypeObject != 0 {
		d.edges(ptr, o, n, "minProperties", "", 1)
		d.edges(ptr, o, n, "maxProperties", "", -1)
		d.objects(ptr, o, n)
		d.opaque(ptr, o, n, "patternProperties", "propertyNames", "dependentRequired", "dependentSchemas", "unevaluatedProperties")
	}
	d.opaque(ptr, o, n, "anyOf", "oneOf", "not", "if", "then", "else")
	d.pairing(ptr, o, n)
}

func (d *differ) types(ptr string, o, n *view) {
	detail := o.types.String() + " -> " + n.types.String()
	switch {
	case o.types&^n.types != 0:
		// A value that is gone from an enum is not a type that is gone as well.
		if o.values == nil || n.values == nil {
			d.breaks(ptr+"/type", KindTypeNarrowed, detail)
		}
	case n.types&^o.types != 0:
		if o.values == nil || n.values == nil {
			d.notes(ptr+"/type", KindTypeWidened, detail)
		}
	}
}

func (d *differ) values(ptr string, o, n *view) {
	var gone, come []*tree.Value
	for _, w := range o.values {
		if n.values != nil && !holdsValue(n.values, w) {
			gone = append(gone, w)
		}
	}
	for _, w := range n.values {
		if o.values != nil && !holdsValue(o.values, w) {
			come = append(come, w)
		}
	}
	keyword, narrowed := "/enum", KindEnumNarrowed
	if n.fixed && (o.fixed || o.values == nil) {
		keyword, narrowed = "/const", KindConstChanged
	}
	switch {
	case o.values == nil && n.values != nil:
		if !covers(n.values, o.types) {
			d.breaks(ptr+keyword, narrowed, "any value was allowed before, now "+listed(n.values))
		}
	case o.values != nil && n.values == nil:
		if !covers(o.values, n.types) {
			d.notes(ptr+keyword, KindEnumWidened, "any value is allowed now, before "+listed(o.values))
		}
	case len(gone) > 0:
		d.breaks(ptr+keyword, narrowed, listed(o.values)+" -> "+listed(n.values))
	case len(come) > 0:
		d.notes(ptr+keyword, KindEnumWidened, "also "+listed(come))
	}
}

// covers says whether the values are all there are of the types.
func covers(values []*tree.Value, t tree.Types) bool {
	if t&^(tree.TypeNull|tree.TypeBool) != 0 {
		return false
	}
	return (t&tree.TypeNull == 0 || holdsValue(values, &tree.Value{Kind: tree.NullKind})) &&
		(t&tree.TypeBool == 0 || holdsValue(values, &tree.Value{Kind: tree.BoolKind, Yes: true}) && holdsValue(values, &tree.Value{Kind: tree.BoolKind}))
}

func (d *differ) edges(ptr string, o, n *view, closed, open string, sign int) {
	before, after := o.edge(closed, open, sign), n.edge(closed, open, sign)
	if sign > 0 && open == "" { // a size is never below 0
		before, after = before.atLeastZero(), after.atLeastZero()
	}
	detail := before.String() + " -> " + after.String()
	switch {
	case after.tighter(before, sign):
		d.breaks(ptr+"/"+closed, KindBoundTightened, detail)
	case before.tighter(after, sign):
		d.notes(ptr+"/"+closed, KindBoundLoosened, detail)
	}
}

func (e edge) atLeastZero() edge {
	if e.at != nil && e.at.Sign() == 0 {
		return edge{}
	}
	return e
}

func (d *differ) multiples(ptr string, o, n *view) {
	before, after := o.texts("multipleOf"), n.texts("multipleOf")
	detail := tree.Bound(orNone(before)) + " -> " + tree.Bound(orNone(after))
	switch {
	case !multiplesOf(before, after):
		d.breaks(ptr+"/multipleOf", KindBoundTightened, detail)
	case !multiplesOf(after, before):
		d.notes(ptr+"/multipleOf", KindBoundLoosened, detail)
	}
}

// multiplesOf says whether a number that is a multiple of each of a must be one of
// each of b.
func multiplesOf(a, b []string) bool {
	for _, y := range b {
		if !slices.ContainsFunc(a, func(x string) bool {
			p, q := tree.Rat(tree.Number(x)), tree.Rat(tree.Number(y))
			return p != nil && q != nil && q.Sign() != 0 && new(big.Rat).Quo(p, q).IsInt()
		}) {
			return false
		}
	}
	return true
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, " and ")
}

func (d *differ) unique(ptr string, o, n *view) {
	asks := func(v *view) bool {
		return slices.ContainsFunc(v.all("uniqueItems"), func(x *tree.Value) bool { return x.Is(true) })
	}
	switch before, after := asks(o), asks(n); {
	case after && !before:
		d.breaks(ptr+"/uniqueItems", KindBoundTightened, "items may not be equal any more")
	case before && !after:
		d.notes(ptr+"/uniqueItems", KindBoundLoosened, "items may be equal now")
	}
}

func (d *differ) texts(ptr string, o, n *view, keyword, added, changed, removed string) {
	before, after := o.texts(keyword), n.texts(keyword)
	detail := tree.Cut(orNone(before), 100) + " -> " + tree.Cut(orNone(after), 100)
	less := slices.ContainsFunc(after, func(s string) bool { return !slices.Contains(before, s) })
	more := slices.ContainsFunc(before, func(s string) bool { return !slices.Contains(after, s) })
	switch {
	case less && len(before) == 0:
		d.breaks(ptr+"/"+keyword, added, detail)
	case less:
		d.breaks(ptr+"/"+keyword, changed, detail)
	case more:
		d.notes(ptr+"/"+keyword, removed, detail)
	}
}
