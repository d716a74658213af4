package evolve

import (
	"eventserver/app/schema/tree"
	"math/big"
	"regexp"
	"slices"
)

// view is what several schemas ask of one value together: those that stand at its
// place, with what their $ref and allOf lead to.
type view struct {
	nodes  []*tree.Value
	never  bool
	types  tree.Types
	values []*tree.Value // enum and const; nil: any
	fixed  bool          // by const
}

func viewOf(t *tree.Document, list []*tree.Value) *view {
	v := &view{types: tree.AnyType}
	seen := map[*tree.Value]bool{}
	for _, s := range list {
		t.InPlace(s, tree.Always, func(s *tree.Value) {
			if !seen[s] && !s.Is(true) {
				seen[s] = true
				v.add(s)
			}
		})
	}
	if v.values != nil {
		v.values = slices.DeleteFunc(v.values, func(w *tree.Value) bool { return !allows(v.types, w) })
		var left tree.Types
		for _, w := range v.values {
			for bit := tree.TypeNull; bit < tree.AnyType; bit <<= 1 {
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

func (v *view) add(s *tree.Value) {
	v.nodes = append(v.nodes, s)
	v.never = v.never || s.Is(false)
	if set := tree.TypesOf(s); set != 0 {
		v.types &= set
	}
	if e := s.Get("enum"); e != nil {
		v.restrict(e.Items)
	}
	if c := s.Get("const"); c != nil {
		v.fixed = true
		v.restrict([]*tree.Value{c})
	}
}

func (v *view) restrict(list []*tree.Value) {
	kept := []*tree.Value{}
	for _, w := range list {
		if v.values == nil || holdsValue(v.values, w) {
			kept = append(kept, w)
		}
	}
	v.values = kept
}

// all are the values of a keyword, in the order of the nodes.
func (v *view) all(keyword string) []*tree.Value {
	var list []*tree.Value
	for _, s := range v.nodes {
		if x := s.Get(keyword); x != nil {
			list = append(list, x)
		}
	}
	return list
}

// texts are the distinct strings of a keyword.
func (v *view) texts(keyword string) []string {
	var list []string
	for _, x := range v.all(keyword) {
		if !slices.Contains(list, x.Text) {
			list = append(list, x.Text)
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
			at := tree.Rat(tree.Number(x.Text))
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
		return tree.Bound(tree.RatText(e.at)) + " exclusive"
	}
	return tree.Bound(tree.RatText(e.at))
}

// declared are the names of properties, in the order of the file.
func (v *view) declared() []string {
	var names []string
	for _, props := range v.all("properties") {
		for _, m := range props.Members {
			if !slices.Contains(names, m.Name) {
				names = append(names, m.Name)
			}
		}
	}
	return names
}

func (v *view) required() []string {
	var names []string
	for _, list := range v.all("required") {
		for _, item := range list.Items {
			if !slices.Contains(names, item.Text) {
				names = append(names, item.Text)
			}
		}
	}
	return names
}

// property are the schemas that apply to the member name.
func (v *view) property(name string) []*tree.Value {
	var list []*tree.Value
	for _, s := range v.nodes {
		known := false
		if sub := s.Get("properties").Get(name); sub != nil {
			known = true
			list = append(list, sub)
		}
		if patterns := s.Get("patternProperties"); patterns != nil {
			for _, p := range patterns.Members {
				if re, err := regexp.Compile(p.Name); err == nil && re.MatchString(name) {
					known = true
					list = append(list, p.Value)
				}
			}
		}
		if sub := s.Get("additionalProperties"); !known && sub != nil {
			list = append(list, sub)
		}
	}
	return list
}
