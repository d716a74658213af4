package gogen

import (
	"bytes"
	_ "embed" // the runtime
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"eventserver/app/schema"
)

// runtime is how the types are read and written. Its imports are the package's.
//
//go:embed exact/exact.go
var runtime string

// write prints the package: the events, sorted by type, what they are made of,
// sorted by name, and how they are read.
func (g *generator) write(reg *schema.Registry, name string) []byte {
	var b bytes.Buffer
	_, code, _ := strings.Cut(runtime, "\n")
	imports, code, _ := strings.Cut(code, "\n)\n")
	fmt.Fprintf(&b, "%s\n\n// Package %s has the types of the events.\npackage %s\n%s\n)\n\n", Header, name, name, imports)
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
	b.WriteString(code)
	return b.Bytes()
}

func (d *decl) write(b *bytes.Buffer, taken map[string]bool) {
	what := fmt.Sprintf("%s is %s of %s.", d.name, shown(d.place.ptr), filepath.Base(d.place.file))
	switch {
	case d.event != nil:
		what = fmt.Sprintf("%s is the event %s, version %d.", d.name, d.event.Type, d.event.Version)
	case d.place.file == "":
		what = fmt.Sprintf("%s is described by several schemas together.", d.name)
	case d.place.ptr == "":
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
		comment(b, "", "Members that the schema does not describe have no place here.")
	}
	if d.old {
		b.WriteString("//\n")
		comment(b, "", "Deprecated: the schema says so.")
	}
	switch {
	case d.alias:
		fmt.Fprintf(b, "type %s = %s\n", d.name, d.expr)
	case d.expr != "":
		fmt.Fprintf(b, "type %s %s\n", d.name, d.expr)
	default:
		fmt.Fprintf(b, "type %s struct {\n", d.name)
		for _, f := range d.fields {
			comment(b, "\t", f.doc)
			fmt.Fprintf(b, "\t%s %s `json:\"%s\"`\n", f.name, f.typ, f.tag)
		}
		b.WriteString("}\n")
	}
	d.methods(b)
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

// methods writes how the type is read by encoding/json, and as a part of a document
// that is read already. A type without extra is written as encoding/json does.
func (d *decl) methods(b *bytes.Buffer) {
	if d.alias || d.expr == "string" || d.expr == "bool" {
		return
	}
	fmt.Fprintf(b, "\n// UnmarshalJSON implements json.Unmarshaler.\nfunc (v *%s) UnmarshalJSON(data []byte) error { return jsonv2.Unmarshal(data, v, exactly) }\n", d.name)
	fmt.Fprintf(b, "\n// UnmarshalJSONFrom implements the Unmarshaler of encoding/json/v2.\nfunc (v *%s) UnmarshalJSONFrom(dec *jsontext.Decoder) error {\n\ttype plain %s\n\treturn unmarshalExact(dec, (*plain)(v))\n}\n", d.name, d.name)
	if d.extra != "" {
		fmt.Fprintf(b, "\n// MarshalJSON implements json.Marshaler.\nfunc (v %s) MarshalJSON() ([]byte, error) {\n\ttype plain %s\n\treturn marshalExact(plain(v))\n}\n", d.name, d.name)
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
