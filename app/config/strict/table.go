package strict

import (
	"fmt"
	"reflect"
	"strings"
)

// Row is one key in a table.
type Row struct{ path, typ, def, doc string }

// StructOf is the struct of a section, of a list of them, or nil.
func StructOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		return t
	}
	return nil
}

// Nested is the path of what stands below a key.
func Nested(path string, f Field) string {
	path = JoinPath(path, f.Name)
	if f.Type.Kind() == reflect.Slice {
		path += "[]"
	}
	return path
}

// RowsOf are the rows of the keys of a struct, and of those inside it.
func RowsOf(path string, t reflect.Type) []Row {
	var rows []Row
	for _, f := range FieldsOf(t) {
		rows = append(rows, RowOf(path, f))
		if s := StructOf(f.Type); s != nil {
			rows = append(rows, RowsOf(Nested(path, f), s)...)
		}
	}
	return rows
}

// RowOf is the row of one key.
func RowOf(path string, f Field) Row {
	r := Row{path: JoinPath(path, f.Name), typ: typeName(f), doc: f.Doc}
	doc, words, inWords := strings.Cut(f.Doc, "Default: ")
	switch {
	case f.Required:
		r.def = "**required**"
	case inWords: // one that depends on other keys
		r.doc, r.def = strings.TrimSpace(doc), strings.TrimSuffix(words, ".")
	case f.Default != "":
		r.def = code(f.Default)
	}
	if len(f.oneof) > 0 {
		r.typ = code(strings.Join(f.oneof, "`, `"))
	}
	var limits []string
	if f.min != "" && f.min != "1ms" { // "more than nothing" needs no words
		limits = append(limits, "at least "+f.min)
	}
	if f.max != "" {
		limits = append(limits, "at most "+f.max)
	}
	if len(limits) > 0 {
		unit := ""
		if f.Type.Kind() == reflect.Slice {
			unit = " entries"
		}
		r.doc += " (" + strings.Join(limits, ", ") + unit + ")"
	}
	if f.isSecret() {
		r.doc += " Or " + code(f.Name+"_file") + "."
	}
	return r
}

func typeName(f Field) string {
	t := f.Type
	switch {
	case f.isSecret():
		return "secret"
	case t == durationType:
		return "duration"
	case t.Kind() == reflect.Pointer:
		f.Type = t.Elem()
		return typeName(f)
	case t.Kind() == reflect.Slice:
		return "list of " + typeName(f.elem())
	case t.Kind() == reflect.Map:
		return "map to " + typeName(f.elem())
	case t.Kind() == reflect.Struct:
		return "mapping"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Float64, t.Kind() == reflect.Float32:
		return "number"
	case t.Kind() == reflect.String:
		return "text"
	case f.bytes:
		return "size"
	}
	return "whole number"
}

func code(s string) string { return "`" + s + "`" }

// Table writes rows as a table of Markdown.
func Table(b *strings.Builder, rows []Row) {
	b.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
	for _, r := range rows {
		cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", r.path, cell(r.typ), cell(r.def), cell(r.doc))
	}
}
