package gogen

import (
	"math/big"
	"slices"
	"strings"
	"unicode"
)

// object is a struct of the members that the schema names anywhere, or a map.
func (g *generator) object(a at, all []at, root bool) (goType, error) {
	props, err := propertiesOf(all)
	if err != nil {
		return anyType, err
	}
	if len(props) == 0 {
		if root {
			return g.mapping(a, all)
		}
		return g.named(a, func() (string, error) { return g.mapType(all) }, true)
	}
	d := g.declare(a)
	d.open = open(all)
	taken := map[string]bool{}
	if d.event != nil {
		taken["EventType"], taken["EventVersion"] = true, true
	}
	required := requiredOf(all)
	for _, p := range props {
		if !inTag(p.name) {
			g.fail(d.place, "the member %q has a name that encoding/json has no tag for; use letters, digits, _ and -", p.name)
			continue
		}
		t, err := g.common(p.schemas)
		if err != nil {
			return anyType, err
		}
		name := goName(p.name)
		if name == "" {
			name = "Member"
		}
		name = unique(name, func(s string) bool { return taken[s] })
		taken[name] = true
		f := field{name: name, typ: t.expr, tag: p.name, doc: p.doc()}
		switch {
		case !slices.Contains(required, p.name):
			f.typ = t.pointed()
			f.tag += ",omitempty"
			if t.nilable && t.expr != "any" {
				// An empty list or map is no absent one.
				f.tag = p.name + ",omitzero"
			}
		case t.null:
			f.typ = t.pointed()
		}
		if f.tag == "-" {
			f.tag = "-,"
		}
		d.fields = append(d.fields, f)
	}
	return d.asType(), nil
}

// mapping is an event without members of its own.
func (g *generator) mapping(a at, all []at) (goType, error) {
	d := g.declare(a)
	d.expr = "map[string]any"
	e, err := g.mapType(all)
	d.expr = e
	return d.asType(), err
}

func (g *generator) mapType(all []at) (string, error) {
	var values []at
	for _, a := range all {
		if a.node.get("additionalProperties").isSchema() {
			v, err := a.down("additionalProperties")
			if err != nil {
				return "", err
			}
			values = append(values, v)
		}
		for _, name := range a.node.get("patternProperties").members() {
			v, err := a.down("patternProperties", name)
			if err != nil {
				return "", err
			}
			values = append(values, v)
		}
	}
	// What no keyword speaks of may be anything.
	if !closed(all) && !slices.ContainsFunc(all, func(a at) bool { return a.node.get("additionalProperties").isSchema() }) {
		return "map[string]any", nil
	}
	t, err := g.common(values)
	return "map[string]" + t.element(), err
}

func (n *node) members() []string {
	if n == nil || n.kind != '{' {
		return nil
	}
	return n.names
}

// common is the type of a value for which one of the schemas holds, whichever.
func (g *generator) common(schemas []at) (goType, error) {
	if len(schemas) == 0 {
		return anyType, nil
	}
	if t, ok, err := g.plain(schemas); ok || err != nil {
		return t, err
	}
	types := make([]goType, len(schemas))
	null := false
	for i, s := range schemas {
		t, err := g.typeOf(s)
		if err != nil {
			return anyType, err
		}
		types[i], null = t, null || t.null
	}
	for _, t := range types {
		if t.expr != types[0].expr {
			return anyType, nil
		}
	}
	types[0].null = null
	return types[0], nil
}

// plain is the type of strings that differ in what they may be, such as the
// member that tells forms apart; false when there is something else.
func (g *generator) plain(schemas []at) (goType, bool, error) {
	t := goType{expr: "string"}
	same := true
	for _, s := range schemas {
		set, err := s.kinds(map[place]bool{})
		if err != nil {
			return anyType, false, err
		}
		t.null = t.null || set&nullKind != 0
		same = same && s.place() == schemas[0].place()
		if set&^nullKind != stringKind || s.node.get("format").str() == "date-time" {
			return anyType, false, nil
		}
	}
	return t, !same, nil
}

// property is a member and the schemas that say what it is made of.
type property struct {
	name    string
	schemas []at
}

func (p property) doc() string {
	for _, s := range p.schemas {
		if d := s.node.get("description").str(); d != "" {
			return d
		}
	}
	return ""
}

// propertiesOf lists the members that the schemas name, in their order: what
// always holds first. Of several that always hold the first that shapes counts;
// what may hold counts where nothing always does.
func propertiesOf(all []at) ([]property, error) {
	var list []property
	index := map[string]int{}
	add := func(name string, s *at, always bool) {
		i, known := index[name]
		if !known {
			index[name] = len(list)
			i = len(list)
			list = append(list, property{name: name})
		}
		if s == nil || always && len(list[i].schemas) > 0 && shapes(list[i].schemas[0]) {
			return
		}
		if always {
			list[i].schemas = []at{*s}
		} else {
			list[i].schemas = append(list[i].schemas, *s)
		}
	}
	for _, a := range all {
		for _, name := range a.node.get("properties").members() {
			s, err := a.down("properties", name)
			if err != nil {
				return nil, err
			}
			if !s.node.isFalse() { // never there
				add(name, &s, true)
			}
		}
	}
	for _, name := range requiredOf(all) {
		add(name, nil, true)
	}
	sure := map[string]bool{}
	for _, p := range list {
		sure[p.name] = len(p.schemas) > 0
	}
	seen := map[place]bool{}
	var maybe func(a at) error
	maybe = func(a at) error {
		branches, err := a.branches()
		if err != nil {
			return err
		}
		for _, b := range branches {
			if seen[b.place()] {
				continue
			}
			seen[b.place()] = true
			applied, err := b.together()
			if err != nil {
				return err
			}
			for _, s := range applied {
				for _, name := range s.node.get("properties").members() {
					sub, err := s.down("properties", name)
					if err != nil {
						return err
					}
					if !sub.node.isFalse() && !sure[name] {
						add(name, &sub, false)
					}
				}
				if err := maybe(s); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, a := range all {
		if err := maybe(a); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func requiredOf(all []at) []string {
	var names []string
	for _, a := range all {
		for _, r := range a.node.get("required").items() {
			if !slices.Contains(names, r.text) {
				names = append(names, r.text)
			}
		}
	}
	return names
}

// closed says whether no member passes that no keyword speaks of.
func closed(all []at) bool {
	for _, a := range all {
		if a.node.get("additionalProperties").isFalse() || a.node.get("unevaluatedProperties").isFalse() {
			return true
		}
	}
	return false
}

// open says whether members pass that have no field.
func open(all []at) bool {
	if slices.ContainsFunc(all, func(a at) bool { return len(a.node.get("patternProperties").members()) > 0 }) {
		return true
	}
	if closed(all) {
		return false
	}
	// Forms that are closed, each, leave nothing open.
	for _, a := range all {
		for _, keyword := range []string{"oneOf", "anyOf"} {
			forms, err := a.forms(keyword)
			if err != nil || len(forms) < 2 {
				continue
			}
			if !slices.ContainsFunc(forms, func(f at) bool {
				applied, err := f.together()
				return err != nil || !closed(applied)
			}) {
				return false
			}
		}
	}
	return true
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
