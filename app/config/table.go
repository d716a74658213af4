package config

import (
	"fmt"
	"reflect"
	"strings"
)

type row struct{ path, typ, def, doc string }

// structOf is the struct of a section, of a list of them, or nil.
func structOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		return t
	}
	return nil
}

func nested(path string, f field) string {
	path = joinPath(path, f.name)
	if f.typ.Kind() == reflect.Slice {
		path += "[]"
	}
	return path
}

func rowsOf(path string, t reflect.Type) []row {
	var rows []row
	for _, f := range fieldsOf(t) {
		rows = append(rows, rowOf(path, f))
		if s := structOf(f.typ); s != nil {
			rows = append(rows, rowsOf(nested(path, f), s)...)
		}
	}
	return rows
}

func rowOf(path string, f field) row {
	r := row{path: joinPath(path, f.name), typ: typeName(f), doc: f.doc}
	doc, words, inWords := strings.Cut(f.doc, "Default: ")
	switch {
	case f.required:
		r.def = "**required**"
	case inWords: // one that depends on other keys
		r.doc, r.def = strings.TrimSpace(doc), strings.TrimSuffix(words, ".")
	case f.def != "":
		r.def = code(f.def)
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
		if f.typ.Kind() == reflect.Slice {
			unit = " entries"
		}
		r.doc += " (" + strings.Join(limits, ", ") + unit + ")"
	}
	if f.isSecret() {
		r.doc += " Or " + code(f.name+"_file") + "."
	}
	return r
}

func typeName(f field) string {
	t := f.typ
	switch {
	case f.isSecret():
		return "secret"
	case t == durationType:
		return "duration"
	case t.Kind() == reflect.Pointer:
		f.typ = t.Elem()
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

func table(b *strings.Builder, rows []row) {
	b.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
	for _, r := range rows {
		cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", r.path, cell(r.typ), cell(r.def), cell(r.doc))
	}
}
