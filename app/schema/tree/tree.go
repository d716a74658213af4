package tree

import (
	"slices"
	"strings"
)

// Document answers questions about a bundled schema, whose $refs begin with "#".
type Document struct{ Root *Value }

// ref is the schema that s refers to, or nil.
func (t *Document) ref(s *Value) *Value {
	ref := s.Get("$ref").Str()
	if ref == "" {
		return nil
	}
	ptr, err := unescapeFragment(strings.TrimPrefix(ref, "#"))
	if err != nil {
		return nil
	}
	return t.Root.At(ptr)
}

// InPlace visits s and every schema that applies to the same value as s, each
// once. follow says which keywords lead there.
func (t *Document) InPlace(s *Value, follow []string, visit func(*Value)) {
	seen := map[*Value]bool{}
	var walk func(*Value)
	walk = func(s *Value) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		visit(s)
		walk(t.ref(s))
		Subschemas(s, "", func(sub *Value, _, keyword string) {
			if slices.Contains(follow, keyword) {
				walk(sub)
			}
		})
	}
	walk(s)
}

// Keywords that lead to schemas of the same value.
var (
	Always    = []string{"allOf"}                                                             // hold for every valid value
	sometimes = []string{"allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas"} // say something of it
	Anyhow    = append([]string{"not"}, sometimes...)
)

// MustBeObject says whether every valid value is an object.
func (t *Document) MustBeObject() bool {
	found := false
	t.InPlace(t.Root, Always, func(s *Value) {
		typ := s.Get("type")
		if typ != nil && typ.Kind == ArrayKind && len(typ.Items) == 1 {
			typ = typ.Items[0]
		}
		found = found || typ.Str() == "object"
	})
	return found
}

// Declares says whether properties or items lead to the value at ptr, and whether
// it may be a string or an integer.
func (t *Document) Declares(ptr string) (declared, usable bool) {
	toks, _ := Tokens(ptr)
	at := []*Value{t.Root}
	for _, tok := range toks {
		var next []*Value
		for _, s := range at {
			t.InPlace(s, sometimes, func(s *Value) {
				if sub := s.Get("properties").Get(tok); sub != nil {
					next = append(next, sub)
				}
				i, isIndex := index(tok)
				if !isIndex {
					return
				}
				if prefix := s.Get("prefixItems"); prefix != nil && i < len(prefix.Items) {
					next = append(next, prefix.Items[i])
				} else if items := s.Get("items"); items != nil {
					next = append(next, items)
				}
			})
		}
		at = next
	}
	usable = true
	for _, s := range at {
		t.InPlace(s, Always, func(s *Value) {
			if got := TypesOf(s); got != 0 && got&(TypeString|TypeInteger) == 0 || s.Is(false) {
				usable = false
			}
		})
	}
	return len(at) > 0, usable
}

// TypesOf is what the keyword type allows; 0 without it.
func TypesOf(s *Value) Types {
	typ := s.Get("type")
	if typ == nil {
		return 0
	}
	set := TypeBits[typ.Str()]
	for _, item := range typ.Items {
		set |= TypeBits[item.Str()]
	}
	return set
}

// envelope are the members that every event may have for the server.
var envelope = []string{"id", "type", "source", "time", "userId", "key"}

// Unnamed are the members of the envelope that the schema names nowhere for the
// top of the event. A schema that closes the top does not mean to refuse them. A
// deeper property of the same name, such as payment.type, is another thing.
func Unnamed(bundle *Value) map[string]bool {
	t := &Document{Root: bundle}
	drop := map[string]bool{}
	for _, name := range envelope {
		drop[name] = true
	}
	t.InPlace(bundle, Anyhow, func(s *Value) {
		for _, keyword := range []string{"properties", "dependentSchemas", "dependentRequired"} {
			m := s.Get(keyword)
			if m == nil {
				continue
			}
			for _, e := range m.Members {
				delete(drop, e.Name)
				if keyword == "dependentRequired" {
					for _, item := range e.Value.Items {
						delete(drop, item.Str())
					}
				}
			}
		}
		if required := s.Get("required"); required != nil {
			for _, item := range required.Items {
				delete(drop, item.Str())
			}
		}
	})
	return drop
}
