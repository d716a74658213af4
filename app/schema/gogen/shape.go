package gogen

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"eventserver/app/schema"
	"eventserver/app/schema/tree"
)

// source is one event's bundle.
type source struct {
	event *schema.Schema
	doc   *tree.Value
}

// at is a schema in a bundle.
type at struct {
	src  *source
	toks []string
	node *tree.Value
}

func (a at) down(toks ...string) (at, error) {
	n, err := lookup(a.node, toks)
	return at{a.src, slices.Concat(a.toks, toks), n}, err
}

// place is where the schema was written: the same for what events share.
func (a at) place() place {
	if len(a.toks) > 1 && a.toks[0] == "$defs" {
		if o, ok := a.src.event.Origin(a.toks[1]); ok {
			return place{o.File, o.Pointer + tree.PointerTo(a.toks[2:])}
		}
	}
	return place{a.src.event.File, tree.PointerTo(a.toks)}
}

// target is what $ref leads to.
func (a at) target() (at, error) {
	ref := a.node.Get("$ref").Str()
	ptr, err := url.PathUnescape(strings.TrimPrefix(ref, "#"))
	if err != nil {
		return at{}, fmt.Errorf("%s: $ref %s: %w", a.place().file, ref, err)
	}
	return at{src: a.src, node: a.src.doc}.down(tokens(ptr)...)
}

// list is the schemas in a keyword's array.
func (a at) list(keyword string) ([]at, error) {
	var list []at
	for i := range len(a.node.Get(keyword).List()) {
		sub, err := a.down(keyword, fmt.Sprint(i))
		if err != nil {
			return nil, err
		}
		list = append(list, sub)
	}
	return list, nil
}

// described are the keywords that say what a value is made of.
var described = []string{"properties", "patternProperties", "additionalProperties", "unevaluatedProperties", "items", "prefixItems",
	"contains", "enum", "const"}

// describes says whether the schema itself says what its values are made of.
func (a at) describes() bool {
	for _, keyword := range described {
		n := a.node.Get(keyword)
		if n != nil && !n.Is(false) && (!n.Is(true) || keyword == "additionalProperties") {
			return true
		}
	}
	return false
}

// member lists the schemas that a has for the member of a name; known is false
// when a does not speak of it, and possible when a lets it pass.
func (a at) member(name string) (subs []at, known, possible bool, err error) {
	if a.node.Get("properties").Get(name) != nil {
		s, err := a.down("properties", name)
		if err != nil {
			return nil, false, false, err
		}
		subs = append(subs, s)
	}
	for _, pattern := range a.node.Get("patternProperties").Names() {
		re, err := regexp.Compile(pattern)
		if err != nil { // Load compiles it
			return nil, false, false, err
		}
		if re.MatchString(name) {
			s, err := a.down("patternProperties", pattern)
			if err != nil {
				return nil, false, false, err
			}
			subs = append(subs, s)
		}
	}
	if len(subs) == 0 && a.node.Has("additionalProperties") {
		s, err := a.down("additionalProperties")
		if err != nil {
			return nil, false, false, err
		}
		return []at{s}, !s.node.Is(false), !s.node.Is(false), nil
	}
	for _, s := range subs {
		if s.node.Is(false) {
			return nil, true, false, nil
		}
	}
	return subs, len(subs) > 0, true, nil
}

// closed says whether a refuses members that none of its own keywords names.
func (a at) closed() bool {
	return a.node.Get("additionalProperties").Is(false) && len(a.node.Get("patternProperties").Names()) == 0
}

// kinds is what the schema lets pass, as far as it is plain to see. busy has the
// places that are being looked at.
func (a at) kinds(busy map[place]bool) (tree.Types, error) {
	if a.node.Is(false) {
		return 0, nil
	}
	if !a.node.IsObject() || busy[a.place()] {
		return tree.AnyType, nil
	}
	busy[a.place()] = true
	defer delete(busy, a.place())
	set := tree.AnyType & (declared(a.node) & valueKinds(a.node))
	if a.node.Has("$ref") {
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
		all, some := tree.AnyType, tree.Types(0)
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

func declared(s *tree.Value) tree.Types {
	if s.Get("type") == nil {
		return tree.AnyType
	}
	return tree.TypesOf(s)
}

// valueKinds is what const and enum let pass.
func valueKinds(n *tree.Value) tree.Types {
	values, ok := valuesOf(n)
	if !ok {
		return tree.AnyType
	}
	var set tree.Types
	for _, v := range values {
		switch v.Kind {
		case tree.NullKind:
			set |= tree.TypeNull
		case tree.BoolKind:
			set |= tree.TypeBool
		case tree.NumberKind:
			set |= tree.TypeInteger
			if strings.ContainsAny(v.Text, ".eE") {
				set |= tree.TypeFraction
			}
		case tree.StringKind:
			set |= tree.TypeString
		case tree.ArrayKind:
			set |= tree.TypeArray
		default:
			set |= tree.TypeObject
		}
	}
	return set
}

// valuesOf lists the values of const or enum; false when n has neither.
func valuesOf(n *tree.Value) ([]*tree.Value, bool) {
	if c := n.Get("const"); c != nil {
		return []*tree.Value{c}, true
	}
	e := n.Get("enum")
	return e.List(), e != nil
}
