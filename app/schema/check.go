package schema

import (
	"fmt"
	"strings"
)

// checker looks for what the metaschema lets pass in the files of a directory.
type checker struct {
	rep   *reporter
	refs  *refs
	meta  *validator
	state map[target]*inPlace
}

func newChecker(rep *reporter, r *refs) *checker {
	return &checker{rep: rep, refs: r, state: map[target]*inPlace{}, meta: metaschema()}
}

func (c *checker) file(f *file) {
	for _, ptr := range f.order {
		c.schema(f, f.schemas[ptr], ptr)
		c.cost(f, f.schemas[ptr], ptr, c.inPlace(f, ptr))
	}
	c.metaschema(f)
}

func (c *checker) schema(f *file, s *value, ptr string) {
	for _, m := range s.members {
		at := ptr + "/" + escape(m.name)
		fault := func(msg string) { f.fault(c.rep, at, msg) }
		switch {
		case refused[m.name] != "":
			fault(refused[m.name])
		case keywords[m.name] == 0 && !strings.HasPrefix(m.name, "x-"):
			fault(fmt.Sprintf("%s is no keyword of JSON Schema, so it would be ignored; %s", quote(m.name), c.cure(m.name)))
		case m.name == "$schema":
			if ptr != "" {
				fault("is of the top of a file only; delete it")
			} else if strings.TrimSuffix(m.value.str(), "#") != draft {
				fault("is another draft than 2020-12; write " + draft + ", or delete it")
			}
		case m.name == "$ref" && m.value.kind == stringKind:
			if _, msg := c.refs.resolve(f, m.value.text); msg != "" {
				fault(msg)
			}
		case m.name == "format" && m.value.kind == stringKind && formats[m.value.text] == "":
			fault(fmt.Sprintf("%s is not a format that is checked; %s", quote(m.value.text), meant(m.value.text, sortedKeys(formats))))
		case m.name == "pattern" && m.value.kind == stringKind:
			c.pattern(f, at, m.value.text)
		case m.name == "patternProperties":
			for _, p := range m.value.members {
				c.pattern(f, at+"/"+escape(p.name), p.name)
			}
		}
	}
	for _, name := range counts {
		if n := s.get(name); n != nil && n.kind == numberKind {
			if r := rat(number(n.text)); r != nil && r.IsInt() && !r.Num().IsInt64() || n.integer() > maxCount {
				f.fault(c.rep, ptr+"/"+name, "is too large; write a smaller number, or delete it")
			}
		}
	}
}

func (c *checker) cure(name string) string {
	if near := nearest(name, sortedKeys(keywords)); near != "" {
		return "did you mean " + near + "?"
	}
	return "begin a name of your own with x-, or put a property under properties"
}

// metaschema reports every fault that JSON Schema's own schema finds.
func (c *checker) metaschema(f *file) {
	for _, p := range c.meta.all(f.root) {
		at, detail := p.pointer, p.detail
		if c.rep.at(f.name, at) {
			continue
		}
		// People know it better than the metaschema's forms.
		if p.rule == "anyOf" && strings.HasSuffix(at, "/type") {
			detail = `must be one of array, boolean, integer, "null", number, object, string, or a list of these, each once; quote "null": without quotes YAML takes it for no value`
		}
		if p.rule == "required" || p.rule == "dependentRequired" {
			at += "/" + escape(p.name)
		}
		f.fault(c.rep, at, "is not JSON Schema 2020-12: "+detail)
	}
}
