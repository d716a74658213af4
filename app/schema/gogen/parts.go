package gogen

import "slices"

// member is what the value of the member of a name meets; known is false when
// nothing speaks of it.
func (p parts) member(name string) (f form, known, possible bool, err error) {
	for _, a := range p.all {
		subs, k, ok, err := a.member(name)
		if err != nil || !ok {
			return form{}, false, false, err
		}
		known = known || k
		for _, s := range subs {
			f = f.and(whole(s))
		}
	}
	for _, c := range p.choices {
		var alternatives []form
		some := false
		for _, alt := range c {
			m, k, ok, err := alt.member(name)
			if err != nil {
				return form{}, false, false, err
			}
			if ok {
				alternatives = append(alternatives, m)
				some = some || k
			}
		}
		if len(alternatives) == 0 {
			return form{}, false, false, nil
		}
		if known = known || some; some {
			f = f.oneOf(alternatives)
		}
	}
	return f, known, true, nil
}

// others is what the value of a member that has no property meets; known is false
// when nothing speaks of such members.
func (p parts) others() (f form, known bool, err error) {
	for _, a := range p.all {
		if a.closed() {
			return form{}, false, nil
		}
	}
	for _, a := range p.all {
		var alternatives []form
		for _, pattern := range a.node.Get("patternProperties").Names() {
			s, err := a.down("patternProperties", pattern)
			if err != nil {
				return form{}, false, err
			}
			alternatives = append(alternatives, whole(s))
		}
		rest := a.node.Get("additionalProperties")
		switch {
		case rest.IsObject():
			s, err := a.down("additionalProperties")
			if err != nil {
				return form{}, false, err
			}
			alternatives = append(alternatives, whole(s))
		case rest.Is(true), rest == nil && len(alternatives) > 0:
			alternatives = append(alternatives, form{})
		case rest == nil && a.node.Has("unevaluatedProperties") && !a.node.Get("unevaluatedProperties").Is(false):
			s, err := a.down("unevaluatedProperties")
			if err != nil {
				return form{}, false, err
			}
			alternatives = append(alternatives, whole(s), form{})
		}
		if len(alternatives) > 0 {
			known = true
			f = f.oneOf(alternatives)
		}
	}
	for _, c := range p.choices {
		var alternatives []form
		some := false
		for _, alt := range c {
			m, k, err := alt.others()
			if err != nil {
				return form{}, false, err
			}
			some = some || k
			if k || !alt.closed() {
				alternatives = append(alternatives, m)
			}
		}
		if some {
			known = true
			f = f.oneOf(alternatives)
		}
	}
	return f, known, nil
}

// closed says whether no member passes that has no property.
func (p parts) closed() bool {
	for _, a := range p.all {
		if a.closed() || a.node.Get("unevaluatedProperties").Is(false) {
			return true
		}
	}
	return slices.ContainsFunc(p.choices, func(c []parts) bool {
		return !slices.ContainsFunc(c, func(alt parts) bool { return !alt.closed() })
	})
}

// items is what an array's items meet; false when they may be of other forms at
// each place.
func (p parts) items() (f form, same bool, err error) {
	for _, a := range p.all {
		if a.node.Has("prefixItems") {
			return form{}, false, nil
		}
		if a.node.Get("items").IsObject() {
			s, err := a.down("items")
			if err != nil {
				return form{}, false, err
			}
			f = f.and(whole(s))
		}
		if a.node.Get("contains").IsObject() {
			s, err := a.down("contains")
			if err != nil {
				return form{}, false, err
			}
			f = f.oneOf([]form{whole(s), {}})
		}
	}
	for _, c := range p.choices {
		var alternatives []form
		for _, alt := range c {
			m, same, err := alt.items()
			if err != nil || !same {
				return form{}, false, err
			}
			alternatives = append(alternatives, m)
		}
		f = f.oneOf(alternatives)
	}
	return f, true, nil
}

// names lists the members that the schemas name, in their order: what always holds
// first. Without properties there are none: required alone describes nothing.
func (p parts) names() []string {
	var list []string
	add := func(names []string) {
		for _, n := range names {
			if !slices.Contains(list, n) {
				list = append(list, n)
			}
		}
	}
	described := false
	var walk func(p parts, required []string)
	walk = func(p parts, required []string) {
		for _, a := range p.all {
			names := a.node.Get("properties").Names()
			described = described || len(names) > 0
			add(names)
		}
		add(required)
		for _, c := range p.choices {
			for _, alt := range c {
				walk(alt, nil)
			}
		}
	}
	if walk(p, p.required()); !described {
		return nil
	}
	return list
}

func (p parts) required() []string {
	var names []string
	for _, a := range p.all {
		for _, r := range a.node.Get("required").List() {
			if !slices.Contains(names, r.Text) {
				names = append(names, r.Text)
			}
		}
	}
	return names
}
