package schema

import (
	"context"
	"errors"
	"eventserver/app/schema/tree"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// typeNameRE is what a type may be called: it is the name of its file, of generated code and of metrics.
var typeNameRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

const typeCure = "write letters, digits, dots, _ and -, at most 100, the first a letter or digit, such as order.placed"

// header reads x-event.
func (l *loading) header(f *file) *Schema {
	s := &Schema{}
	x := f.root.Get("x-event")
	switch {
	case x == nil:
		l.rep.add(f.name, f.root.Line, "/x-event", `missing; write "x-event: {type: order.placed, version: 1}" at the top, or begin the file's name with _ if it holds shared definitions`)
		return s
	case x.Kind != tree.ObjectKind:
		f.fault(l.rep, "/x-event", "is not a mapping; write {type: order.placed, version: 1}")
		return s
	}
	for _, m := range x.Members {
		at := "/x-event/" + tree.Escape(m.Name)
		switch m.Name {
		case "type":
			if m.Value.Kind != tree.StringKind || !typeNameRE.MatchString(m.Value.Text) {
				f.fault(l.rep, at, "is no name of a type; "+typeCure)
				continue
			}
			s.Type = m.Value.Text
		case "version":
			n, err := strconv.ParseInt(m.Value.Text, 10, 32)
			if m.Value.Kind != tree.NumberKind || err != nil || n < 1 {
				f.fault(l.rep, at, "is not a whole number from 1; write 1, and one more for each change that breaks")
				continue
			}
			s.Version = int(n)
		case "key":
			toks, ok := tree.Tokens(m.Value.Str())
			if !ok || len(toks) == 0 {
				f.fault(l.rep, at, "is no JSON pointer to a member; write one such as /customerId")
				continue
			}
			s.KeyPointer, s.path = m.Value.Text, toks
		default:
			f.fault(l.rep, at, "unknown; x-event has type, version and key")
		}
	}
	for _, name := range []string{"type", "version"} {
		if x.Get(name) == nil {
			cure := "name the type, such as order.placed"
			if name == "version" {
				cure = "write version: 1"
			}
			f.fault(l.rep, "/x-event/"+name, "missing; "+cure)
		}
	}
	return s
}

// prose reads description and examples.
func (l *loading) prose(f *file, s *Schema) []*tree.Value {
	s.Description = strings.TrimSpace(f.root.Get("description").Str())
	if d := f.root.Get("description"); d == nil || s.Description == "" && d.Kind != tree.NumberKind {
		l.missing(f, "description", "say in a sentence what happened when this event is sent")
	}
	examples := f.root.Get("examples")
	switch {
	case examples == nil || examples.Kind == tree.NullKind || examples.Kind == tree.ArrayKind && len(examples.Items) == 0:
		l.missing(f, "examples", "give a list with at least one event, as it is posted")
		return nil
	case examples.Kind != tree.ArrayKind:
		return nil // the metaschema says so
	}
	for _, e := range examples.Items {
		s.Examples = append(s.Examples, e.AppendJSON(nil))
	}
	return examples.Items
}

func (l *loading) missing(f *file, name, cure string) {
	if !l.rep.at(f.name, "/"+name) {
		f.fault(l.rep, "/"+name, "missing; "+cure)
	}
}

// shape checks what an event and its key must be.
func (l *loading) shape(f *file, s *Schema) {
	top := &tree.Document{Root: s.bundle}
	if !top.MustBeObject() {
		f.fault(l.rep, "/type", "missing or not object; an event is a JSON object, so write type: object")
	}
	if s.KeyPointer == "" {
		return
	}
	switch declared, usable := top.Declares(s.KeyPointer); {
	case !declared:
		f.fault(l.rep, "/x-event/key", fmt.Sprintf("%s is declared nowhere; put it under properties, or correct the pointer", tree.Quote(s.KeyPointer)))
	case !usable:
		f.fault(l.rep, "/x-event/key", fmt.Sprintf("%s can be no key by its type; point to a string or an integer", tree.Quote(s.KeyPointer)))
	}
}

// examples checks each against the schema that it is to explain.
func (l *loading) examples(f *file, s *Schema, values []*tree.Value) {
	for i, data := range s.Examples {
		var spent Spent
		v, err := s.validate(context.Background(), data, DefaultMaxCost, &spent)
		if v != nil {
			err = v
		} else if err == nil {
			_, _, err = s.Key(data)
		}
		if spent.Steps() > DefaultMaxCost/10 {
			l.rep.warn(f.name, values[i].Line, "/examples/"+strconv.Itoa(i), fmt.Sprintf(
				"its check takes %d of the %d steps that schemas.max_cost allows by default; simplify the schema", spent.Steps(), DefaultMaxCost))
		}
		if errors.As(err, &v) {
			where := v.Rule
			if v.Pointer != "" {
				where = v.Pointer + ": " + v.Rule
			}
			l.rep.add(f.name, values[i].Line, "/examples/"+strconv.Itoa(i),
				fmt.Sprintf("breaks the schema: %s: %s; correct the example or the schema", where, v.Detail))
		}
	}
}
