package gogen

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"eventserver/app/schema"
)

// source is one event's bundle.
type source struct {
	event *schema.Schema
	doc   *node
}

// at is a schema in a bundle.
type at struct {
	src  *source
	toks []string
	node *node
}

func (a at) down(toks ...string) (at, error) {
	n, err := a.node.at(toks)
	return at{a.src, slices.Concat(a.toks, toks), n}, err
}

// place is where the schema was written: the same for what events share.
func (a at) place() place {
	if len(a.toks) > 1 && a.toks[0] == "$defs" {
		if o, ok := a.src.event.Origin(a.toks[1]); ok {
			return place{o.File, o.Pointer + pointer(a.toks[2:])}
		}
	}
	return place{a.src.event.File, pointer(a.toks)}
}

// target is what $ref leads to.
func (a at) target() (at, error) {
	ref := a.node.get("$ref").str()
	ptr, err := url.PathUnescape(strings.TrimPrefix(ref, "#"))
	if err != nil {
		return at{}, fmt.Errorf("%s: $ref %s: %w", a.place().file, ref, err)
	}
	return at{src: a.src, node: a.src.doc}.down(tokens(ptr)...)
}

// together lists what applies to the same value as a, a first: the targets of
// $ref, allOf, and the one form of anyOf or oneOf that is not null.
func (a at) together() (all []at, err error) {
	seen := map[place]bool{}
	var walk func(at) error
	walk = func(a at) error {
		if seen[a.place()] || !a.node.isSchema() {
			return nil
		}
		seen[a.place()] = true
		all = append(all, a)
		if a.node.has("$ref") {
			t, err := a.target()
			if err != nil {
				return err
			}
			if err := walk(t); err != nil {
				return err
			}
		}
		next, err := a.list("allOf")
		if err != nil {
			return err
		}
		for _, keyword := range []string{"anyOf", "oneOf"} {
			forms, err := a.forms(keyword)
			if err != nil {
				return err
			}
			if len(forms) == 1 {
				next = append(next, forms[0])
			}
		}
		for _, n := range next {
			if err := walk(n); err != nil {
				return err
			}
		}
		return nil
	}
	return all, walk(a)
}

// list is the schemas in a keyword's array.
func (a at) list(keyword string) ([]at, error) {
	var list []at
	for i := range len(a.node.get(keyword).items()) {
		sub, err := a.down(keyword, fmt.Sprint(i))
		if err != nil {
			return nil, err
		}
		list = append(list, sub)
	}
	return list, nil
}

func (n *node) items() []*node {
	if n == nil || n.kind != '[' {
		return nil
	}
	return n.kids
}

// forms is the schemas of anyOf or oneOf, without those that are null.
func (a at) forms(keyword string) ([]at, error) {
	list, err := a.list(keyword)
	return slices.DeleteFunc(list, func(s at) bool { return s.node.get("type").str() == "null" || s.node.isFalse() }), err
}

// branches lists what may apply to the same value as a.
func (a at) branches() ([]at, error) {
	var list []at
	for _, keyword := range []string{"anyOf", "oneOf"} {
		forms, err := a.forms(keyword)
		if err != nil {
			return nil, err
		}
		list = append(list, forms...)
	}
	for _, keyword := range []string{"then", "else"} {
		if a.node.has(keyword) {
			sub, err := a.down(keyword)
			if err != nil {
				return nil, err
			}
			list = append(list, sub)
		}
	}
	if deps := a.node.get("dependentSchemas"); deps != nil {
		for _, name := range deps.names {
			sub, err := a.down("dependentSchemas", name)
			if err != nil {
				return nil, err
			}
			list = append(list, sub)
		}
	}
	return list, nil
}

// kinds is a set of JSON's types.
type kinds byte

const (
	nullKind kinds = 1 << iota
	boolKind
	numberKind // with a fraction
	integerKind
	stringKind
	arrayKind
	objectKind
	anyKind = 1<<7 - 1
)

var kindBits = map[string]kinds{
	"null": nullKind, "boolean": boolKind, "number": numberKind | integerKind, "integer": integerKind,
	"string": stringKind, "array": arrayKind, "object": objectKind,
}

// kinds is what the schema lets pass, as far as it is plain to see. busy has the
// places that are being looked at.
func (a at) kinds(busy map[place]bool) (kinds, error) {
	if a.node.isFalse() {
		return 0, nil
	}
	if !a.node.isSchema() || busy[a.place()] {
		return anyKind, nil
	}
	busy[a.place()] = true
	defer delete(busy, a.place())
	set := anyKind & (declared(a.node.get("type")) & valueKinds(a.node))
	if a.node.has("$ref") {
		t, err := a.target()
		if err != nil {
			return 0, err
		}
		k, err := t.kinds(busy)
		if err != nil {
			return 0, err
		}
		set &= k
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		list, err := a.list(keyword)
		if err != nil {
			return 0, err
		}
		if len(list) == 0 {
			continue
		}
		all, some := kinds(anyKind), kinds(0)
		for _, sub := range list {
			k, err := sub.kinds(busy)
			if err != nil {
				return 0, err
			}
			all, some = all&k, some|k
		}
		if keyword == "allOf" {
			some = all
		}
		set &= some
	}
	return set, nil
}

func declared(typ *node) kinds {
	if typ == nil {
		return anyKind
	}
	set := kindBits[typ.str()]
	for _, t := range typ.items() {
		set |= kindBits[t.str()]
	}
	return set
}

// valueKinds is what const and enum let pass.
func valueKinds(n *node) kinds {
	values, ok := valuesOf(n)
	if !ok {
		return anyKind
	}
	var set kinds
	for _, v := range values {
		switch v.kind {
		case 'n':
			set |= nullKind
		case 't', 'f':
			set |= boolKind
		case '0':
			set |= integerKind
			if strings.ContainsAny(v.text, ".eE") {
				set |= numberKind
			}
		case '"':
			set |= stringKind
		case '[':
			set |= arrayKind
		default:
			set |= objectKind
		}
	}
	return set
}

// valuesOf lists the values of const or enum; false when n has neither.
func valuesOf(n *node) ([]*node, bool) {
	if c := n.get("const"); c != nil {
		return []*node{c}, true
	}
	e := n.get("enum")
	return e.items(), e != nil
}
