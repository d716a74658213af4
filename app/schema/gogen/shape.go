package gogen

import (
	"fmt"
	"net/url"
	"regexp"
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

// described are the keywords that say what a value is made of.
var described = []string{"properties", "patternProperties", "additionalProperties", "unevaluatedProperties", "items", "prefixItems",
	"contains", "enum", "const"}

// describes says whether the schema itself says what its values are made of.
func (a at) describes() bool {
	for _, keyword := range described {
		n := a.node.get(keyword)
		if n != nil && n.kind != 'f' && (n.kind != 't' || keyword == "additionalProperties") {
			return true
		}
	}
	return false
}

// member lists the schemas that a has for the member of a name; known is false
// when a does not speak of it, and possible when a lets it pass.
func (a at) member(name string) (subs []at, known, possible bool, err error) {
	if a.node.get("properties").get(name) != nil {
		s, err := a.down("properties", name)
		if err != nil {
			return nil, false, false, err
		}
		subs = append(subs, s)
	}
	for _, pattern := range a.node.get("patternProperties").members() {
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
	if len(subs) == 0 && a.node.has("additionalProperties") {
		s, err := a.down("additionalProperties")
		if err != nil {
			return nil, false, false, err
		}
		return []at{s}, !s.node.isFalse(), !s.node.isFalse(), nil
	}
	for _, s := range subs {
		if s.node.isFalse() {
			return nil, true, false, nil
		}
	}
	return subs, len(subs) > 0, true, nil
}

// closed says whether a refuses members that none of its own keywords names.
func (a at) closed() bool {
	return a.node.get("additionalProperties").isFalse() && len(a.node.get("patternProperties").members()) == 0
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
