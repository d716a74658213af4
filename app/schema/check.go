package schema

import (
	"eventserver/app/schema/quick"
	"eventserver/app/schema/tree"
	"fmt"
	"strings"
)

// checker looks for what the metaschema lets pass in the files of a directory.
type checker struct {
	rep   *reporter
	refs  *refs
	meta  *quick.Validator
	state map[target]*inPlace
}

func newChecker(rep *reporter, r *refs) *checker {
	return &checker{rep: rep, refs: r, state: map[target]*inPlace{}, meta: quick.Metaschema()}
}

func (c *checker) file(f *file) {
	for _, ptr := range f.order {
		c.schema(f, f.schemas[ptr], ptr)
		c.cost(f, f.schemas[ptr], ptr, c.inPlace(f, ptr))
	}
	c.metaschema(f)
}

func (c *checker) schema(f *file, s *tree.Value, ptr string) {
	for _, m := range s.Members {
		at := ptr + "/" + tree.Escape(m.Name)
		fault := func(msg string) { f.fault(c.rep, at, msg) }
		switch {
		case tree.Refused[m.Name] != "":
			fault(tree.Refused[m.Name])
		case tree.Keywords[m.Name] == 0 && !strings.HasPrefix(m.Name, "x-"):
			fault(fmt.Sprintf("%s is no keyword of JSON Schema, so it would be ignored; %s", tree.Quote(m.Name), c.cure(m.Name)))
		case m.Name == "$schema":
			if ptr != "" {
				fault("is of the top of a file only; delete it")
			} else if strings.TrimSuffix(m.Value.Str(), "#") != tree.Draft {
				fault("is another draft than 2020-12; write " + tree.Draft + ", or delete it")
			}
		case m.Name == "$ref" && m.Value.Kind == tree.StringKind:
			if _, msg := c.refs.resolve(f, m.Value.Text); msg != "" {
				fault(msg)
			}
		case m.Name == "format" && m.Value.Kind == tree.StringKind && tree.Formats[m.Value.Text] == "":
			fault(fmt.Sprintf("%s is not a format that is checked; %s", tree.Quote(m.Value.Text), tree.Meant(m.Value.Text, tree.SortedKeys(tree.Formats))))
		case m.Name == "pattern" && m.Value.Kind == tree.StringKind:
			c.pattern(f, at, m.Value.Text)
		case m.Name == "patternProperties":
			for _, p := range m.Value.Members {
				c.pattern(f, at+"/"+tree.Escape(p.Name), p.Name)
			}
		}
	}
	for _, name := range tree.Counts {
		if n := s.Get(name); n != nil && n.Kind == tree.NumberKind {
			if r := tree.Rat(tree.Number(n.Text)); r != nil && r.IsInt() && !r.Num().IsInt64() || n.Integer() > tree.MaxCount {
				f.fault(c.rep, ptr+"/"+name, "is too large; write a smaller number, or delete it")
			}
		}
	}
}

func (c *checker) cure(name string) string {
	if near := tree.Nearest(name, tree.SortedKeys(tree.Keywords)); near != "" {
		return "did you mean " + near + "?"
	}
	return "begin a name of your own with x-, or put a property under properties"
}

// metaschema reports every fault that JSON Schema's own schema finds.
func (c *checker) metaschema(f *file) {
	for _, p := range c.meta.All(f.root) {
		at, detail := p.Pointer, p.Detail
		if c.rep.at(f.name, at) {
			continue
		}
		// People know it better than the metaschema's forms.
		if p.Rule == "anyOf" && strings.HasSuffix(at, "/type") {
			detail = `must be one of array, boolean, integer, "null", number, object, string, or a list of these, each once; quote "null": without quotes YAML takes it for no value`
		}
		if p.Rule == "required" || p.Rule == "dependentRequired" {
			at += "/" + tree.Escape(p.Name)
		}
		f.fault(c.rep, at, "is not JSON Schema 2020-12: "+detail)
	}
}
