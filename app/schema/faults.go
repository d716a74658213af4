package schema

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Fault is one thing wrong with a schema file.
type Fault struct {
	File string // as given to Load, joined with the path below it
	Line int    // 1 for the first line; 0 when the fault is of no line
	Path string // JSON pointer into the file, e.g. "/properties/total/type"; "" for the file as a whole
	Msg  string // what is wrong and the cure
	err  error
}

// Error is the fault on one line: file:line: path: message.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	b.WriteString(": ")
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Msg)
	return b.String()
}

// Unwrap returns the cause, such as fs.ErrNotExist, or nil.
func (f *Fault) Unwrap() error { return f.err }

// Faults is the error of Load: all faults, sorted by file and line.
type Faults struct{ list []*Fault }

// Error lists the faults, one a line.
func (f *Faults) Error() string {
	lines := make([]string, len(f.list))
	for i, fault := range f.list {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults, each a *Fault.
func (f *Faults) Unwrap() []error {
	errs := make([]error, len(f.list))
	for i, fault := range f.list {
		errs[i] = fault
	}
	return errs
}

// List returns the faults sorted by file and line.
func (f *Faults) List() []*Fault { return slices.Clone(f.list) }

// reporter collects the faults of one directory.
type reporter struct {
	dir    string
	faults []*Fault
	seen   map[Fault]bool
	places map[string]bool // file and path of every fault
}

func newReporter(dir string) *reporter {
	return &reporter{dir: dir, seen: map[Fault]bool{}, places: map[string]bool{}}
}

func (r *reporter) add(file string, line int, path, msg string) { r.addErr(file, line, path, msg, nil) }

// addErr adds a fault once: a value behind an alias is met at each of its places.
func (r *reporter) addErr(file string, line int, path, msg string, err error) {
	// One fault is one line, whatever a file holds.
	f := Fault{File: filepath.Join(r.dir, filepath.FromSlash(file)), Line: line, Path: oneLine(cut(path, maxDetail)), Msg: oneLine(msg)}
	if r.seen[f] {
		return
	}
	r.seen[f] = true
	r.places[file+"\x00"+path] = true
	f.err = err
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

func (r *reporter) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(r.faults, func(a, b *Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line)
	})
	return &Faults{list: r.faults}
}

func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}
