package gogen

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"eventserver/app/schema"
)

// write prints the package: the events, sorted by type, and what they are made of
// behind, sorted by name.
func (g *generator) write(reg *schema.Registry, name string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n\n// Package %s has the types of the events.\npackage %s\n\n", Header, name, name)
	if g.imports["time"] {
		b.WriteString("import \"time\"\n\n")
	}
	b.WriteString("// Event is an event that has a schema.\ntype Event interface {\n" +
		"\t// EventType is the type of the event, such as order.placed.\n\tEventType() string\n" +
		"\t// EventVersion is the version of the schema that the Go type was made of.\n\tEventVersion() int\n}\n\n")
	b.WriteString("// New returns a pointer to an empty event of a type; false when the type had no\n// schema.\nfunc New(typ string) (Event, bool) {\n\tswitch typ {\n")
	for _, s := range reg.Schemas() {
		fmt.Fprintf(&b, "\tcase %q:\n\t\treturn new(%s), true\n", s.Type, g.events[s.File])
	}
	b.WriteString("\t}\n\treturn nil, false\n}\n")
	slices.SortFunc(g.decls, func(a, b *decl) int {
		if (a.event == nil) != (b.event == nil) {
			if a.event != nil {
				return -1
			}
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	for _, d := range g.decls {
		d.write(&b, g.taken)
	}
	return b.Bytes()
}

func (d *decl) write(b *bytes.Buffer, taken map[string]bool) {
	what := fmt.Sprintf("%s is %s of %s.", d.name, shown(d.place.ptr), filepath.Base(d.place.file))
	if d.event != nil {
		what = fmt.Sprintf("%s is the event %s, version %d.", d.name, d.event.Type, d.event.Version)
	} else if d.place.ptr == "" {
		what = fmt.Sprintf("%s is %s.", d.name, filepath.Base(d.place.file))
	}
	b.WriteString("\n")
	comment(b, "", what)
	if d.doc != "" {
		b.WriteString("//\n")
		comment(b, "", d.doc)
	}
	if d.open {
		b.WriteString("//\n")
		comment(b, "", "The schema lets other members pass, which have no place here.")
	}
	if d.old {
		b.WriteString("//\n")
		comment(b, "", "Deprecated: the schema says so.")
	}
	if d.expr != "" {
		fmt.Fprintf(b, "type %s %s\n", d.name, d.expr)
	} else {
		fmt.Fprintf(b, "type %s struct {\n", d.name)
		for _, f := range d.fields {
			comment(b, "\t", f.doc)
			fmt.Fprintf(b, "\t%s %s `json:\"%s\"`\n", f.name, f.typ, f.tag)
		}
		b.WriteString("}\n")
	}
	if d.event != nil {
		fmt.Fprintf(b, "\n// EventType implements Event.\nfunc (%s) EventType() string { return %q }\n", d.name, d.event.Type)
		fmt.Fprintf(b, "\n// EventVersion implements Event.\nfunc (%s) EventVersion() int { return %d }\n", d.name, d.event.Version)
	}
	if len(d.values) > 0 {
		fmt.Fprintf(b, "\n// Values of %s.\nconst (\n", d.name)
		for i, v := range d.values {
			name := d.name + strings.TrimPrefix(goName("a."+v), "A")
			if name == d.name {
				name = fmt.Sprintf("%sValue%d", d.name, i+1)
			}
			name = unique(name, func(s string) bool { return taken[s] })
			taken[name] = true
			fmt.Fprintf(b, "\t%s %s = %q\n", name, d.name, v)
		}
		b.WriteString(")\n")
	}
}

// comment writes lines of at most some hundred characters.
func comment(b *bytes.Buffer, indent, text string) {
	const width = 100
	for i, par := range strings.Split(strings.TrimSpace(text), "\n") {
		line := ""
		flush := func() {
			if line != "" {
				b.WriteString(indent + "// " + line + "\n")
			}
			line = ""
		}
		fields := strings.FieldsFunc(par, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' })
		if len(fields) == 0 && i > 0 {
			b.WriteString(indent + "//\n")
		}
		for _, word := range fields {
			if line != "" && len(line)+1+len(word) > width {
				flush()
			}
			line = strings.TrimSpace(line + " " + word)
		}
		flush()
	}
}
