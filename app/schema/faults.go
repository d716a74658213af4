package schema

import (
	"path/filepath"
	"strings"

	"eventserver/app/schema/tree"
	"eventserver/app/textfile"
)

// Fault is one thing wrong with a schema file. Its File is as given to Load, joined
// with the path below it; its Path is a JSON pointer into the file.
type Fault = textfile.Fault

// Faults is the error of Load: all faults, sorted by file and line.
type Faults = textfile.Faults

// reporter collects the faults of one directory.
type reporter struct {
	dir    string
	faults []*Fault
	seen   map[Fault]bool
	places map[string]bool // file and path of every fault

	warnings []*Fault
}

func newReporter(dir string) *reporter {
	return &reporter{dir: dir, seen: map[Fault]bool{}, places: map[string]bool{}}
}

func (r *reporter) add(file string, line int, path, msg string) { r.addErr(file, line, path, msg, nil) }

// warn is of what works, and may cost more than its author thinks.
func (r *reporter) warn(file string, line int, path, msg string) {
	r.warnings = append(r.warnings, &Fault{File: r.path(file), Line: line, Path: oneLine(tree.Cut(path, tree.MaxDetail)), Msg: oneLine(msg)})
}

func (r *reporter) path(file string) string { return filepath.Join(r.dir, filepath.FromSlash(file)) }

// addErr adds a fault once: a value behind an alias is met at each of its places.
func (r *reporter) addErr(file string, line int, path, msg string, err error) {
	// One fault is one line, whatever a file holds.
	f := Fault{File: r.path(file), Line: line, Path: oneLine(tree.Cut(path, tree.MaxDetail)), Msg: oneLine(msg)}
	if r.seen[f] {
		return
	}
	r.seen[f] = true
	r.places[file+"\x00"+path] = true
	f.Cause = err
	r.faults = append(r.faults, &f)
}

// at says whether a fault of this place is known already.
func (r *reporter) at(file, path string) bool { return r.places[file+"\x00"+path] }

// files are those with a fault so far.
func (r *reporter) files() map[string]bool {
	m := map[string]bool{}
	for place := range r.places {
		name, _, _ := strings.Cut(place, "\x00")
		m[name] = true
	}
	return m
}

func (r *reporter) err() error { return textfile.NewFaults(r.faults...) }

func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}
