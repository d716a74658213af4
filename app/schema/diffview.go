package schema

import (
	"math/big"
	"regexp"
	"slices"
)

// view is what several schemas ask of one value together: those that stand at its
// place, with what their $ref and allOf lead to.
type view struct {
	nodes  []*value
	never  bool
	types  types
	values []*value // enum and const; nil: any
	fixed  bool     // by const
}

func (t *tree) view(list []*value) *view {
	v := &view{types: anyType}
	seen := map[*value]bool{}
	for _, s := range list {
		t.inPlace(s, always, func(s *value) {
			if !seen[s] && !s.is(true) {
				seen[s] = true
				v.add(s)
			}
		})
	}
	if v.values != nil {
		v.values = slices.DeleteFunc(v.values, func(w *value) bool { return !allows(v.types, w) })
		var left types
		for _, w := range v.values {
			for bit := typeNull; bit < anyType; bit <<= 1 {
				if allows(bit, w) {
					left |= bit
				}
			}
		}
		v.types = left
	}
	v.never = v.never || v.types == 0
	return v
}

func (v *view) add(s *value) {
	v.nodes = append(v.nodes, s)
	v.never = v.never || s.is(false)
	if set := typesOf(s); set != 0 {
		v.types &= set
	}
	if e := s.get("enum"); e != nil {
		v.restrict(e.items)
	}
	if c := s.get("const"); c != nil {
		v.fixed = true
		v.restrict([]*value{c})
	}
}

func (v *view) restrict(list []*value) {
	kept := []*value{}
	for _, w := range list {
		if v.values == nil || holdsValue(v.values, w) {
			kept = append(kept, w)
		}
	}
	v.values = kept
}

// all are the values of a keyword, in the order of the nodes.
func (v *view) all(keyword string) []*value {
	var list []*value
	for _, s := range v.nodes {
		if x := s.get(keyword); x != nil {
			list = append(list, x)
		}
	}
	return list
}

// texts are the distinct strings of a keyword.
func (v *view) texts(keyword string) []string {
	var list []string
	for _, x := range v.all(keyword) {
		if !slices.Contains(list, x.text) {
			list = append(list, x.text)
		}
	}
	return list
}

// edge is the tightest bound on one side.
type edge struct {
	at   *big.Rat // nil: none
	open bool     // the bound itself is outside
}

// edge reads the keywords of a lower bound (sign 1) or an upper one (-1). open is
// the exclusive keyword, or "".
func (v *view) edge(closed, open string, sign int) edge {
	var e edge
	for _, keyword := range []string{closed, open} {
		for _, x := range v.all(keyword) {
			at := rat(number(x.text))
			if at == nil {
				continue
			}
			next := edge{at, keyword == open}
			if next.tighter(e, sign) {
				e = next
			}
		}
	}
	return e
}

// tighter says whether e lets fewer numbers pass than f.
func (e edge) tighter(f edge, sign int) bool {
	if e.at == nil || f.at == nil {
		return e.at != nil
	}
	if c := e.at.Cmp(f.at) * sign; c != 0 {
		return c > 0
	}
	return e.open && !f.open
}

func (e edge) String() string {
	switch {
	case e.at == nil:
		return "none"
	case e.open:
		return bound(ratText(e.at)) + " exclusive"
	}
	return bound(ratText(e.at))
}

// declared are the names of properties, in the order of the file.
func (v *view) declared() []string {
	var names []string
	for _, props := range v.all("properties") {
		for _, m := range props.members {
			if !slices.Contains(names, m.name) {
				names = append(names, m.name)
			}
		}
	}
	return names
}

func (v *view) required() []string {
	var names []string
	for _, list := range v.all("required") {
		for _, item := range list.items {
			if !slices.Contains(names, item.text) {
				names = append(names, item.text)
			}
		}
	}
	return names
}

// property are the schemas that apply to the member name.
func (v *view) property(name string) []*value {
	var list []*value
	for _, s := range v.nodes {
		known := false
		if sub := s.get("properties").get(name); sub != nil {
			known = true
			list = append(list, sub)
		}
		if patterns := s.get("patternProperties"); patterns != nil {
			for _, p := range patterns.members {
				if re, err := regexp.Compile(p.name); err == nil && re.MatchString(name) {
					known = true
					list = append(list, p.value)
				}
			}
		}
		if sub := s.get("additionalProperties"); !known && sub != nil {
			list = append(list, sub)
		}
	}
	return list
}
