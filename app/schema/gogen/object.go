package gogen

import (
	"math/big"
	"slices"
	"strings"
	"unicode"
)

// object is a struct of the members that the schemas name anywhere, or a map.
func (g *generator) object(m *making) (goType, error) {
	root := m.single && g.isEvent(m.own.place())
	names := m.parts.names()
	if !slices.ContainsFunc(names, inTag) {
		if root {
			return g.mapping(m)
		}
		return g.named(m, func() (string, error) { return g.mapType(m) }, true)
	}
	d := g.declare(m)
	taken := map[string]bool{}
	if d.event != nil {
		taken["EventType"], taken["EventVersion"] = true, true
	}
	// The names of methods.
	taken["UnmarshalJSON"], taken["UnmarshalJSONFrom"], taken["MarshalJSON"] = true, true, true
	required := m.parts.required()
	unnamed := false
	for _, name := range names {
		f, _, possible, err := m.parts.member(name)
		if err != nil {
			return anyType, err
		}
		switch {
		case !possible:
			continue
		case !inTag(name):
			unnamed = true
			continue
		}
		one, err := g.field(f, name, slices.Contains(required, name), m.naming)
		if err != nil {
			return anyType, err
		}
		one.name = unique(one.name, func(s string) bool { return taken[s] })
		taken[one.name] = true
		d.fields = append(d.fields, one)
	}
	others, known, err := m.parts.others()
	if err != nil {
		return anyType, err
	}
	if d.open = !known && !m.parts.closed(); !known && !unnamed {
		return d.asType(), nil
	}
	t := anyType
	// The members that the server reads of every event are among an event's.
	if !unnamed && !root {
		if t, err = g.typeOf(others, m.naming.with("Value")); err != nil {
			return anyType, err
		}
	}
	d.extra = unique("Extra", func(s string) bool { return taken[s] })
	d.fields = append(d.fields, field{name: d.extra, typ: "map[string]" + t.element(), tag: ",embed", doc: "The members that have no field."})
	return d.asType(), nil
}

// field is the field of the member of a name.
func (g *generator) field(f form, name string, required bool, n naming) (field, error) {
	part := goName(name)
	if part == "" {
		part = "Member"
	}
	one := field{name: part, tag: name, doc: f.doc()}
	t, err := g.typeOf(f, n.with(strings.TrimPrefix(goName("a."+name), "A")))
	one.typ = t.expr
	switch {
	case !required && t.null:
		one.typ, one.tag = "Nullable["+t.expr+"]", name+",omitzero"
	case !required: // an empty list or map is not an absent one
		one.typ, one.tag = t.pointed(), name+",omitzero"
	case t.null:
		one.typ = t.pointed()
	}
	if one.tag == "-" { // which would leave the field out
		one.tag = "-,case:strict"
	}
	return one, err
}

// doc is the first description.
func (f form) doc() string {
	for _, r := range f.roots {
		if d := r.node.Get("description").Str(); d != "" {
			return d
		}
	}
	for _, c := range f.choices {
		for _, alt := range c {
			if d := alt.doc(); d != "" {
				return d
			}
		}
	}
	return ""
}

// mapping is an event without members of its own.
func (g *generator) mapping(m *making) (goType, error) {
	d := g.declare(m)
	d.expr = "map[string]any" // the members that the server reads are among them
	return d.asType(), nil
}

func (g *generator) mapType(m *making) (string, error) {
	if len(m.parts.names()) > 0 { // names that no field can have
		return "map[string]any", nil
	}
	others, _, err := m.parts.others()
	if err != nil {
		return "", err
	}
	t, err := g.typeOf(others, m.naming.with("Value"))
	return "map[string]" + t.element(), err
}

// pointers makes pointers of the fields through which a struct would hold itself.
func pointers(decls []*decl) {
	byName := map[string]*decl{}
	for _, d := range decls {
		if d.expr == "" {
			byName[d.name] = d
		}
	}
	group := components(decls, byName)
	for _, d := range decls {
		for i, f := range d.fields {
			if to := byName[f.typ]; to != nil && group[to] == group[d] {
				d.fields[i].typ = "*" + f.typ
			}
		}
	}
}

// components numbers the structs: those that hold each other as values have the
// same number (Tarjan).
func components(decls []*decl, byName map[string]*decl) map[*decl]int {
	index, low, group := map[*decl]int{}, map[*decl]int{}, map[*decl]int{}
	var stack []*decl
	var visit func(d *decl)
	visit = func(d *decl) {
		index[d] = len(index) + 1
		low[d] = index[d]
		stack = append(stack, d)
		for _, f := range d.fields {
			to := byName[f.typ]
			switch {
			case to == nil:
			case index[to] == 0:
				visit(to)
				low[d] = min(low[d], low[to])
			case group[to] == 0: // on the stack
				low[d] = min(low[d], index[to])
			}
		}
		if low[d] != index[d] {
			return
		}
		for {
			last := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if group[last] = index[d]; last == d {
				return
			}
		}
	}
	for _, d := range decls {
		if d.expr == "" && index[d] == 0 {
			visit(d)
		}
	}
	return group
}

// inTag says whether encoding/json reads the name from a struct tag.
func inTag(name string) bool {
	for _, r := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return name != ""
}

func beyondInt64(number string) bool {
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		return true
	}
	limit := new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), 63))
	return r.Abs(r).Cmp(limit) >= 0
}
