package evolve

import (
	"eventserver/app/schema"
	"eventserver/app/schema/tree"
	"fmt"
	"maps"
	"strings"
)

// Kinds of changes.
const (
	KindTypeAdded         = "type added"
	KindTypeRemoved       = "type removed" // a consumer no longer gets these events
	KindVersionNotRaised  = "version not raised"
	KindKeyChanged        = "key changed"
	KindPropertyAdded     = "property added" // breaks where any value was allowed before
	KindPropertyRemoved   = "property removed"
	KindRequiredAdded     = "required added"
	KindRequiredRemoved   = "required removed" // a consumer may miss it now
	KindTypeNarrowed      = "type narrowed"
	KindTypeWidened       = "type widened"
	KindEnumNarrowed      = "enum narrowed"
	KindEnumWidened       = "enum widened"
	KindConstChanged      = "const changed"
	KindBoundTightened    = "bound tightened" // minimum, maxLength, multipleOf, uniqueItems, ...
	KindBoundLoosened     = "bound loosened"
	KindPatternAdded      = "pattern added"
	KindPatternChanged    = "pattern changed"
	KindPatternRemoved    = "pattern removed"
	KindFormatAdded       = "format added"
	KindFormatChanged     = "format changed"
	KindFormatRemoved     = "format removed"
	KindAdditionalClosed  = "additionalProperties closed"
	KindAdditionalOpened  = "additionalProperties opened"
	KindNothingAllowed    = "nothing allowed" // the schema of the value is false, or as good as
	KindAllowed           = "allowed"         // it was false before
	KindCannotBeCompared  = "cannot be compared"
	maxChanges            = 1000    // of one type; two schemas that share nothing have as many changes as keywords
	maxComparisons        = 200_000 // of one type; definitions that use each other twice double with each level
	tooManyChanges        = "there are too many changes to list; compare the files by eye"
	backToItself          = "version went from %d to %d; raise it to %d"
	breakingAtSameVersion = "breaking changes: %d; raise the version to %d"
)

// Change is one difference between two versions of a type.
type Change struct {
	Type string
	// Pointer is the place in the schema, as the value is reached: what $ref and
	// allOf lead to counts as standing where they stand, so moving a schema into a
	// definition is no change.
	Pointer string
	Kind    string // a Kind constant
	Detail  string // one short sentence of at most 300 bytes
	// Breaking says that an event that was valid may be refused now, or that a
	// consumer loses something it had. What cannot be decided counts as breaking.
	Breaking bool
	// Allowed is false for what must not be released as it is: a breaking change
	// without a higher version, a lower version, or a type that is gone. Keep the
	// file of a type that is no longer sent, with deprecated: true.
	Allowed bool
}

// String is the change on one line.
func (c Change) String() string {
	var b strings.Builder
	b.WriteString(c.Type + ": ")
	if c.Pointer != "" {
		b.WriteString(c.Pointer + ": ")
	}
	b.WriteString(c.Kind)
	if c.Detail != "" {
		b.WriteString(": " + c.Detail)
	}
	switch {
	case c.Breaking && c.Allowed:
		b.WriteString(" (breaking, allowed by the higher version)")
	case c.Breaking:
		b.WriteString(" (breaking)")
	}
	return b.String()
}

// Diff lists the changes from old to new, sorted by type, those of a type in the
// order of the new file with what was removed behind. Descriptions, examples and
// other annotations are not compared. Either registry may be nil: no types.
func Diff(old, new *schema.Registry) []Change {
	before, after := byType(old), byType(new)
	all := maps.Clone(before)
	maps.Copy(all, after)
	var list []Change
	for _, typ := range tree.SortedKeys(all) {
		switch o, n := before[typ], after[typ]; {
		case o == nil:
			list = append(list, Change{Type: typ, Kind: KindTypeAdded, Detail: fmt.Sprintf("version %d", n.Version), Allowed: true})
		case n == nil:
			list = append(list, Change{Type: typ, Kind: KindTypeRemoved, Breaking: true,
				Detail: "consumers lose these events; keep the file, with deprecated: true"})
		default:
			list = append(list, diffSchemas(o, n)...)
		}
	}
	return list
}

func byType(r *schema.Registry) map[string]*schema.Schema {
	m := map[string]*schema.Schema{}
	if r != nil {
		for _, s := range r.Schemas() {
			m[s.Type] = s
		}
	}
	return m
}

func diffSchemas(o, n *schema.Schema) []Change {
	d := &differ{
		old: &tree.Document{Root: o.Tree()}, new: &tree.Document{Root: n.Tree()}, oldDrop: o.Unnamed(),
		active: map[string]bool{}, same: map[string]bool{}, left: new(int),
	}
	*d.left = maxComparisons
	if o.KeyPointer != n.KeyPointer {
		d.breaks("/x-event/key", KindKeyChanged, shownKey(o.KeyPointer)+" -> "+shownKey(n.KeyPointer)+"; events of one key would lose their order")
	}
	d.compare("", []*tree.Value{o.Tree()}, []*tree.Value{n.Tree()})
	broken := 0
	for i := range d.changes {
		c := &d.changes[i]
		c.Type, c.Allowed = n.Type, !c.Breaking || n.Version > o.Version
		c.Pointer, c.Detail = tree.Bounded(c.Pointer), tree.Cut(c.Detail, tree.MaxDetail)
		if c.Breaking {
			broken++
		}
	}
	not := Change{Type: n.Type, Pointer: "/x-event/version", Kind: KindVersionNotRaised, Breaking: true}
	switch {
	case n.Version < o.Version:
		not.Detail = fmt.Sprintf(backToItself, o.Version, n.Version, o.Version+1)
	case n.Version == o.Version && broken > 0:
		not.Detail = fmt.Sprintf(breakingAtSameVersion, broken, o.Version+1)
	default:
		return d.changes
	}
	return append([]Change{not}, d.changes...)
}

func shownKey(ptr string) string {
	if ptr == "" {
		return "none"
	}
	return tree.Quote(ptr)
}
