package evolve

import (
	"eventserver/app/schema/tree"
	"slices"
)

// objects compares what two schemas ask of the members of an object.
func (d *differ) objects(ptr string, o, n *view) {
	before, after := o.declared(), n.declared()
	wasRequired, isRequired := o.required(), n.required()
	at := func(name string) string { return ptr + "/properties/" + tree.Escape(name) }
	for _, name := range after {
		if slices.Contains(before, name) {
			d.compare(at(name), o.property(name), n.property(name))
		} else if !slices.Contains(isRequired, name) || slices.Contains(wasRequired, name) {
			d.added(ptr, at(name), name, o, n)
		}
	}
	for _, name := range isRequired {
		if slices.Contains(wasRequired, name) {
			continue
		}
		switch {
		case !slices.Contains(after, name):
			d.breaks(ptr+"/required", KindRequiredAdded, tree.Quote(name)+" was optional before")
		case !slices.Contains(before, name):
			d.breaks(at(name), KindRequiredAdded, "the property is new, and required")
		default:
			d.breaks(at(name), KindRequiredAdded, "it was optional before")
		}
	}
	for _, name := range before {
		if !slices.Contains(after, name) {
			d.breaks(at(name), KindPropertyRemoved, "consumers lose it")
		}
	}
	for _, name := range wasRequired {
		if slices.Contains(isRequired, name) || slices.Contains(before, name) && !slices.Contains(after, name) {
			continue
		}
		if slices.Contains(after, name) {
			d.breaks(at(name), KindRequiredRemoved, "consumers had it in every event")
		} else {
			d.breaks(ptr+"/required", KindRequiredRemoved, "consumers had "+tree.Quote(name)+" in every event")
		}
	}
	d.others(ptr, o, n)
}

// added reports a property that is new and optional. It breaks only where the
// member was allowed before with values that are refused now.
func (d *differ) added(ptr, at, name string, o, n *view) {
	old := o.property(name)
	if ptr == "" && d.oldDrop[name] {
		old = nil // of the envelope: not validated until now
	}
	p := d.prober()
	p.probe = false
	p.compare(at, old, n.property(name))
	for _, c := range p.changes {
		if c.Breaking {
			d.breaks(at, KindPropertyAdded, "the schema allowed any such member before; now: "+c.Kind+": "+c.Detail)
			return
		}
	}
	d.notes(at, KindPropertyAdded, "")
}

// others compares what members that are not declared may be.
func (d *differ) others(ptr string, o, n *view) {
	before, after := o.all("additionalProperties"), n.all("additionalProperties")
	at := ptr + "/additionalProperties"
	switch was, is := viewOf(d.old, before).never, viewOf(d.new, after).never; {
	case is && !was:
		d.breaks(at, KindAdditionalClosed, "members that are not declared are refused now")
	case was && !is:
		d.notes(at, KindAdditionalOpened, "members that are not declared are allowed now")
	default:
		d.compare(at, before, after)
	}
}

// opaque compares keywords of which it cannot be said whether a change breaks:
// only the same is no change.
func (d *differ) opaque(ptr string, o, n *view, keywords ...string) {
	for _, keyword := range keywords {
		before, after := o.all(keyword), n.all(keyword)
		detail := ""
		switch {
		case len(before) == 0 && len(after) == 0:
			continue
		case len(before) == 0:
			detail = keyword + " is new"
		case len(after) == 0:
			detail = keyword + " is gone"
		case !slices.EqualFunc(before, after, func(x, y *tree.Value) bool { return d.equal(keyword, x, y) }):
			detail = keyword + " has changed"
		default:
			continue
		}
		d.breaks(ptr+"/"+keyword, KindCannotBeCompared, detail+"; whether that breaks cannot be told")
	}
}

// equal says whether a keyword asks for the same, annotations aside.
func (d *differ) equal(keyword string, x, y *tree.Value) bool {
	switch tree.Keywords[keyword] {
	case tree.HoldsSchema:
		return d.sameSchema(x, y)
	case tree.HoldsList:
		return slices.EqualFunc(x.Items, y.Items, d.sameSchema)
	case tree.HoldsMap:
		return len(x.Members) == len(y.Members) && !slices.ContainsFunc(x.Members, func(m tree.Member) bool {
			other := y.Get(m.Name)
			return other == nil || !d.sameSchema(m.Value, other)
		})
	}
	return same(x, y)
}

func (d *differ) sameSchema(x, y *tree.Value) bool {
	p := d.prober()
	p.compare("", []*tree.Value{x}, []*tree.Value{y})
	return len(p.changes) == 0
}

// prober compares on the side. Its places are not the top of the event.
func (d *differ) prober() *differ {
	return &differ{old: d.old, new: d.new, active: d.active, same: d.same, left: d.left, probe: true}
}
