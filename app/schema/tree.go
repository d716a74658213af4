package schema

import (
	"slices"
	"strings"
)

// tree answers questions about a bundled schema, whose $refs begin with "#".
type tree struct{ root *value }

// ref is the schema that s refers to, or nil.
func (t *tree) ref(s *value) *value {
	ref := s.get("$ref").str()
	if ref == "" {
		return nil
	}
	ptr, err := unescapeFragment(strings.TrimPrefix(ref, "#"))
	if err != nil {
		return nil
	}
	return t.root.at(ptr)
}

// inPlace visits s and every schema that applies to the same value as s, each
// once. follow says which keywords lead there.
func (t *tree) inPlace(s *value, follow []string, visit func(*value)) {
	seen := map[*value]bool{}
	var walk func(*value)
	walk = func(s *value) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		visit(s)
		walk(t.ref(s))
		subschemas(s, "", func(sub *value, _, keyword string) {
			if slices.Contains(follow, keyword) {
				walk(sub)
			}
		})
	}
	walk(s)
}

var (
	always    = []string{"allOf"}                                                             // hold for every valid value
	sometimes = []string{"allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas"} // say something of it
	anyhow    = append([]string{"not"}, sometimes...)
)

func (t *tree) mustBeObject() bool {
	found := false
	t.inPlace(t.root, always, func(s *value) {
		typ := s.get("type")
		if typ != nil && typ.kind == arrayKind && len(typ.items) == 1 {
			typ = typ.items[0]
		}
		found = found || typ.str() == "object"
	})
	return found
}

// declares says whether properties or items lead to the value at ptr, and whether
// it may be a string or an integer.
func (t *tree) declares(ptr string) (declared, usable bool) {
	toks, _ := tokens(ptr)
	at := []*value{t.root}
	for _, tok := range toks {
		var next []*value
		for _, s := range at {
			t.inPlace(s, sometimes, func(s *value) {
				if sub := s.get("properties").get(tok); sub != nil {
					next = append(next, sub)
				}
				i, isIndex := index(tok)
				if !isIndex {
					return
				}
				if prefix := s.get("prefixItems"); prefix != nil && i < len(prefix.items) {
					next = append(next, prefix.items[i])
				} else if items := s.get("items"); items != nil {
					next = append(next, items)
				}
			})
		}
		at = next
	}
	usable = true
	for _, s := range at {
		t.inPlace(s, always, func(s *value) {
			if got := typesOf(s); got != 0 && got&(typeString|typeInteger) == 0 || s.is(false) {
				usable = false
			}
		})
	}
	return len(at) > 0, usable
}

// typesOf is what the keyword type allows; 0 without it.
func typesOf(s *value) types {
	typ := s.get("type")
	if typ == nil {
		return 0
	}
	set := typeBits[typ.str()]
	for _, item := range typ.items {
		set |= typeBits[item.str()]
	}
	return set
}

// envelope are the members that every event may have for the server.
var envelope = []string{"id", "type", "source", "time", "userId", "key"}

// unnamed are the members of the envelope that the schema names nowhere for the
// top of the event. A schema that closes the top does not mean to refuse them. A
// deeper property of the same name, such as payment.type, is another thing.
func unnamed(bundle *value) map[string]bool {
	t := &tree{root: bundle}
	drop := map[string]bool{}
	for _, name := range envelope {
		drop[name] = true
	}
	t.inPlace(bundle, anyhow, func(s *value) {
		for _, keyword := range []string{"properties", "dependentSchemas", "dependentRequired"} {
			m := s.get(keyword)
			if m == nil {
				continue
			}
			for _, e := range m.members {
				delete(drop, e.name)
				if keyword == "dependentRequired" {
					for _, item := range e.value.items {
						delete(drop, item.str())
					}
				}
			}
		}
		if required := s.get("required"); required != nil {
			for _, item := range required.items {
				delete(drop, item.str())
			}
		}
	})
	return drop
}
