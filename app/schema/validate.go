package schema

import (
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// validator checks JSON against one compiled schema. It is safe for parallel use.
type validator struct {
	lib      *jsonschema.Schema
	quick    *quick              // nil: the schema has what it cannot decide
	names    map[string]string   // spellings of the declared properties
	drop     map[string]bool     // members of the top that are not validated
	declared map[string][]string // properties by the location of the schema that closes them
	explain  chan struct{}       // cap 1: the library makes an error of every wrong value, in as much memory
}

// check returns the first thing that is wrong with data, without Type and Version.
func (v *validator) check(data []byte) *Violation {
	doc, bad := decode(data, v.names, v.drop)
	if bad != nil {
		return bad
	}
	if v.quick.accepts(doc) {
		return nil
	}
	v.explain <- struct{}{}
	list := problemsOf(v.lib.Validate(doc))
	<-v.explain
	if len(list) == 0 {
		return nil
	}
	p := first(data, list)
	return &Violation{
		Pointer: bounded(pointerTo(p.loc)),
		Rule:    p.rule,
		Detail:  cut(v.detail(p, doc, data), maxDetail),
		Others:  len(list) - 1,
	}
}

// detail adds to the problem's own what only the schema and the event tell.
func (v *validator) detail(p *problem, doc any, data []byte) string {
	switch p.err.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		names := v.declared[p.err.SchemaURL]
		switch near := nearest(p.loc[len(p.loc)-1], names); {
		case near != "":
			return "is not a declared property; did you mean " + quote(near) + "?"
		case len(names) == 0:
			return "is not allowed: no property is declared here"
		default:
			return "is not a declared property; declared are " + strings.Join(quoted(names), ", ")
		}
	case *kind.AnyOf, *kind.OneOf:
		return p.detail(doc) + v.closest(p, doc, data)
	}
	return p.detail(doc)
}

// closest tells of the form that the value misses by the least.
func (v *validator) closest(p *problem, doc any, data []byte) string {
	var best []problem
	for _, c := range p.err.Causes {
		if list := collect(c, nil); best == nil || len(list) < len(best) {
			best = list
		}
	}
	if len(best) == 0 {
		return ""
	}
	q := first(data, best)
	return fmt.Sprintf("; of the closest one, %s: %s: %s", shownPointer(bounded(pointerTo(q.loc))), q.rule, q.detail(doc))
}

func quoted(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = quote(s)
	}
	return out
}
