package schema

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const draft = "https://json-schema.org/draft/2020-12/schema"

// checker looks for what the metaschema lets pass in the files of a directory.
type checker struct {
	rep   *reporter
	refs  *refs
	meta  *jsonschema.Schema
	state map[target]visited
}

// visited is how far the search for endless references is with a schema.
type visited byte

const (
	visiting visited = iota + 1
	finished
)

func newChecker(rep *reporter, r *refs) *checker {
	// The metaschema is part of the library, so this cannot fail.
	return &checker{rep: rep, refs: r, state: map[target]visited{}, meta: jsonschema.NewCompiler().MustCompile(draft)}
}

func (c *checker) file(f *file) {
	for _, ptr := range f.order {
		c.schema(f, f.schemas[ptr], ptr)
		c.ends(f, ptr)
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
			if msg := badPattern(m.value.text); msg != "" {
				fault(msg)
			}
		case m.name == "patternProperties":
			for _, p := range m.value.members {
				if msg := badPattern(p.name); msg != "" {
					f.fault(c.rep, at+"/"+escape(p.name), msg)
				}
			}
		}
	}
	for _, name := range counts {
		if n := s.get(name); n != nil && n.kind == numberKind {
			if r := rat(number(n.text)); r != nil && r.IsInt() && !r.Num().IsInt64() || n.number() > maxCount {
				f.fault(c.rep, ptr+"/"+name, "is too large; write a smaller number, or delete it")
			}
		}
	}
}

const endless = "leads back to itself; refer from a property or an item instead, or delete it"

// ends finds a $ref that leads back to where it stands without going into the
// value: no event could be validated.
func (c *checker) ends(f *file, ptr string) {
	at := target{f.name, ptr}
	switch c.state[at] {
	case finished:
		return
	case visiting: // entered here by a $ref, and back from a schema around it
		f.fault(c.rep, ptr, endless)
		return
	}
	c.state[at] = visiting
	s := f.schemas[ptr]
	subschemas(s, ptr, func(_ *value, sub, keyword string) {
		if slices.Contains(anyhow, keyword) {
			c.ends(f, sub)
		}
	})
	if ref := s.get("$ref").str(); ref != "" {
		switch t, _ := c.refs.resolve(f, ref); {
		case t.file == "":
		case c.state[t] == visiting:
			f.fault(c.rep, ptr+"/$ref", quote(ref)+" "+endless)
		default:
			c.ends(c.refs.files[t.file], t.ptr)
		}
	}
	c.state[at] = finished
}

func (c *checker) cure(name string) string {
	if near := nearest(name, sortedKeys(keywords)); near != "" {
		return "did you mean " + near + "?"
	}
	return "begin a name of your own with x-, or put a property under properties"
}

// number is v's number where it is written as an int64, else 0.
func (v *value) number() int64 {
	n, _ := number(v.text).(int64)
	return n
}

func badPattern(p string) string {
	_, err := regexp.Compile(p)
	if err == nil {
		return ""
	}
	reason := err.Error()
	if se, ok := err.(*syntax.Error); ok { //nolint:errorlint // regexp.Compile returns it as it is
		reason = string(se.Code) + " " + quote(se.Expr)
	}
	return fmt.Sprintf("%s is no regular expression of Go (RE2): %s; it has no (?=, (?! or backreferences", quote(p), reason)
}

// metaschema reports every fault that JSON Schema's own schema finds.
func (c *checker) metaschema(f *file) {
	doc := f.root.plain()
	err := c.meta.Validate(doc)
	for _, p := range problemsOf(err) {
		at := pointerTo(p.loc)
		if c.rep.at(f.name, at) {
			continue
		}
		if p.rule == "required" || p.rule == "dependentRequired" {
			at += "/" + escape(p.name)
		}
		f.fault(c.rep, at, "is not JSON Schema 2020-12: "+p.schemaDetail(doc))
	}
}

// schemaDetail is detail for a fault of a schema, which people know better than
// the metaschema's forms.
func (p *problem) schemaDetail(doc any) string {
	if p.rule == "anyOf" && len(p.loc) > 0 && p.loc[len(p.loc)-1] == "type" {
		return "must be one of array, boolean, integer, null, number, object, string, or a list of these, each once"
	}
	return p.detail(doc)
}
