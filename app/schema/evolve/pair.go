package evolve

import (
	"eventserver/app/schema/tree"
	"slices"
	"strings"
)

// pairs are keywords that mean something with their neighbours in the same
// schema. What allOf and $ref bring together is compared keyword by keyword, which
// does not see that a neighbour has moved away.
var pairs = [][]string{
	{"prefixItems", "items"},
	{"contains", "minContains", "maxContains"},
	{"properties", "patternProperties", "additionalProperties"},
	{"if", "then", "else"},
}

// pairing compares which keywords stand together.
func (d *differ) pairing(ptr string, o, n *view) {
	for _, group := range pairs {
		common := slices.DeleteFunc(slices.Clone(group), func(k string) bool { return len(o.all(k)) == 0 || len(n.all(k)) == 0 })
		if before, after := o.together(common), n.together(common); !slices.Equal(before, after) {
			d.breaks(ptr+"/"+common[len(common)-1], KindCannotBeCompared,
				strings.Join(common, ", ")+" stand together in other ways; whether that breaks cannot be told")
		}
	}
	for _, name := range n.declared() {
		if n.shuts(name) && !o.shuts(name) && slices.Contains(o.declared(), name) {
			d.breaks(ptr+"/properties/"+tree.Escape(name), KindAdditionalClosed, "is declared, but not beside the additionalProperties: false that refuses it")
		}
	}
	// What unevaluated... refuses depends on everything else at the place.
	for _, keyword := range []string{"unevaluatedProperties", "unevaluatedItems"} {
		if len(o.all(keyword)) > 0 && len(n.all(keyword)) > 0 && !slices.EqualFunc(o.nodes, n.nodes, same) {
			d.breaks(ptr+"/"+keyword, KindCannotBeCompared, "something beside "+keyword+" has changed; whether that breaks cannot be told")
		}
	}
	// A member of the envelope that is named from now on counts from now on.
	if ptr == "" {
		for _, keyword := range []string{"minProperties", "maxProperties", "propertyNames"} {
			for _, name := range n.declared() {
				if d.oldDrop[name] && len(o.all(keyword)) > 0 {
					d.breaks("/"+keyword, KindCannotBeCompared, name+" is named now, and counts; whether that breaks cannot be told")
				}
			}
		}
	}
}

// together lists, for each schema that has two or more of the keywords, which.
func (v *view) together(keywords []string) []string {
	var list []string
	for _, s := range v.nodes {
		var has []string
		for _, k := range keywords {
			if s.Get(k) != nil {
				has = append(has, k)
			}
		}
		if len(has) > 1 {
			list = append(list, strings.Join(has, " "))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// shuts says whether an additionalProperties: false refuses a member, because it
// is not declared beside it.
func (v *view) shuts(name string) bool {
	return slices.ContainsFunc(v.nodes, func(s *tree.Value) bool {
		closed := s.Get("additionalProperties")
		if closed == nil || !closed.Is(false) || s.Get("patternProperties") != nil {
			return false
		}
		props := s.Get("properties")
		return props == nil || props.Get(name) == nil
	})
}
