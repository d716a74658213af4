package gogen

import (
	"slices"
	"strings"

	"eventserver/app/schema/tree"
)

// form is what a value is known to meet: every schema of roots, and of each choice
// one form at least. It is how several schemas describe one value together.
type form struct {
	roots   []at
	choices [][]form
}

// whole is the form of a schema; a boolean says nothing.
func whole(s at) form {
	if !s.node.IsObject() {
		return form{}
	}
	return form{roots: []at{s}}
}

// isAnything says whether the form says nothing.
func (f form) isAnything() bool { return len(f.roots) == 0 && len(f.choices) == 0 }

// key is the same for forms of the same schemas.
func (f form) key() string {
	var b strings.Builder
	for _, r := range f.roots {
		p := r.place()
		b.WriteString(p.file + "#" + p.ptr + "\n")
	}
	for _, c := range f.choices {
		b.WriteString("(")
		for _, alt := range c {
			b.WriteString(alt.key() + "|")
		}
		b.WriteString(")")
	}
	return b.String()
}

// and adds what g says to f.
func (f form) and(g form) form {
	for _, r := range g.roots {
		if !slices.ContainsFunc(f.roots, func(a at) bool { return a.place() == r.place() }) {
			f.roots = append(slices.Clip(f.roots), r)
		}
	}
	for _, c := range g.choices {
		f = f.oneOf(c)
	}
	return f
}

// oneOf adds a choice: equal forms count once, and a single one is no choice.
func (f form) oneOf(alternatives []form) form {
	var list []form
	keys := map[string]bool{}
	var add func([]form)
	add = func(alternatives []form) {
		for _, alt := range alternatives {
			if len(alt.roots) == 0 && len(alt.choices) == 1 {
				add(alt.choices[0])
			} else if k := alt.key(); !keys[k] {
				keys[k] = true
				list = append(list, alt)
			}
		}
	}
	add(alternatives)
	switch {
	case len(list) == 1:
		return f.and(list[0])
	case len(list) > 1:
		f.choices = append(slices.Clip(f.choices), list)
	}
	return f
}

// parts is a form with all that its schemas bring along.
type parts struct {
	all     []at      // the schemas that hold: the roots, what $ref and allOf add
	choices [][]parts // of each choice one holds
	cut     bool      // there are too many
}

// maxParts bounds the schemas of one type; what has more is any.
const maxParts = 2000

func (f form) parts() (parts, error) {
	left := maxParts
	return f.expand(map[place]bool{}, &left)
}

func (f form) expand(busy map[place]bool, left *int) (p parts, err error) {
	mine := map[place]bool{}
	var choices [][]form
	var walk func(at) error
	walk = func(a at) error {
		if mine[a.place()] || !a.node.IsObject() {
			return nil
		}
		if busy[a.place()] { // it holds already
			return nil
		}
		if *left--; *left < 0 {
			p.cut = true
			return nil
		}
		mine[a.place()] = true
		p.all = append(p.all, a)
		if a.node.Has("$ref") {
			t, err := a.target()
			if err != nil {
				return err
			}
			if err := walk(t); err != nil {
				return err
			}
		}
		list, err := a.list("allOf")
		if err != nil {
			return err
		}
		for _, s := range list {
			if err := walk(s); err != nil {
				return err
			}
		}
		own, err := a.choices()
		if err != nil {
			return err
		}
		for _, c := range own {
			if len(c) != 1 || len(c[0].roots) != 1 {
				choices = append(choices, c)
			} else if err := walk(c[0].roots[0]); err != nil {
				return err
			}
		}
		return nil
	}
	for _, a := range f.roots {
		if err := walk(a); err != nil {
			return p, err
		}
	}
	for place := range mine {
		busy[place] = true
	}
	defer func() {
		for place := range mine {
			delete(busy, place)
		}
	}()
	for _, c := range slices.Concat(f.choices, choices) {
		var list []parts
		for _, alt := range c {
			sub, err := alt.expand(busy, left)
			if err != nil {
				return p, err
			}
			p.cut = p.cut || sub.cut
			list = append(list, sub)
		}
		p.choices = append(p.choices, list)
	}
	return p, nil
}

// shaping lists the schemas that say what the values are made of, and those that
// give a type alone, each once.
func (f form) shaping() (shaping, typed []at, err error) {
	add := func(list []at, more ...at) []at {
		for _, a := range more {
			if !slices.ContainsFunc(list, func(b at) bool { return a.place() == b.place() }) {
				list = append(list, a)
			}
		}
		return list
	}
	p, err := f.parts()
	if err != nil {
		return nil, nil, err
	}
	for _, a := range p.all {
		choices, err := a.choices()
		if err != nil {
			return nil, nil, err
		}
		switch {
		case a.describes(), slices.ContainsFunc(choices, func(c []form) bool { return len(c) > 1 }):
			shaping = add(shaping, a)
		case a.node.Has("type"):
			typed = add(typed, a)
		}
	}
	typed = typed[:min(1, len(typed))] // of several that hold, any will do
	for _, c := range f.choices {
		for _, alt := range c {
			s, t, err := alt.shaping()
			if err != nil {
				return nil, nil, err
			}
			shaping, typed = add(shaping, s...), add(typed, t...)
		}
	}
	return shaping, typed, nil
}

// choices are the forms of which a value that meets a meets one, a list for each
// keyword. What is null needs no part of a type: kinds knows of it.
func (a at) choices() (list [][]form, err error) {
	sub := func(toks ...string) form {
		s, e := a.down(toks...)
		if e != nil {
			err = e
		}
		return whole(s)
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		subs, err := a.list(keyword)
		if err != nil {
			return nil, err
		}
		var c []form
		for _, s := range subs {
			k, err := s.kinds(map[place]bool{})
			if err != nil {
				return nil, err
			}
			if k&^tree.TypeNull != 0 {
				c = append(c, whole(s))
			}
		}
		if len(c) > 0 {
			list = append(list, c)
		}
	}
	if a.node.Has("if") {
		yes, no := sub("if"), form{}
		if a.node.Has("then") {
			yes = yes.and(sub("then"))
		}
		if a.node.Has("else") {
			no = sub("else")
		}
		list = append(list, []form{yes, no})
	}
	for _, name := range a.node.Get("dependentSchemas").Names() {
		list = append(list, []form{sub("dependentSchemas", name), {}})
	}
	return list, err
}

// kinds is what the form lets pass, as far as it is plain to see.
func (f form) kinds() (tree.Types, error) {
	set := tree.AnyType
	for _, r := range f.roots {
		k, err := r.kinds(map[place]bool{})
		if err != nil {
			return 0, err
		}
		set &= k
	}
	for _, c := range f.choices {
		some := tree.Types(0)
		for _, alt := range c {
			k, err := alt.kinds()
			if err != nil {
				return 0, err
			}
			some |= k
		}
		set &= some
	}
	return set, nil
}
