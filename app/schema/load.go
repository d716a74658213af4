package schema

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"eventserver/app/schema/quick"
	"eventserver/app/schema/tree"
	"eventserver/app/textfile"
)

// maxFiles bounds one directory; a company has some hundreds of types.
const maxFiles = 5000

// Load reads, checks and compiles the schemas below dir. The error is *Faults with
// every fault of every file. A directory without schemas is a Registry without
// types. Links that lead out of dir are not followed.
func Load(dir string) (*Registry, error) {
	root, err := openDir(dir)
	if err != nil {
		return nil, textfile.NewFaults(&Fault{File: dir, Cause: err,
			Msg: fmt.Sprintf("cannot be read: %v; give the directory of the schemas", cause(err))})
	}
	defer func() { _ = root.Close() }() // read only
	return load(root.FS(), dir)
}

// openDir is os.OpenRoot, which waits for a writer where dir is a pipe.
func openDir(dir string) (*os.Root, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: syscall.ENOTDIR}
	}
	return os.OpenRoot(dir)
}

// LoadFS is Load of a file system, such as a commit's; dir stands in front of the
// names of its files.
func LoadFS(fsys fs.FS, dir string) (*Registry, error) { return load(fsys, dir) }

func load(fsys fs.FS, dir string) (*Registry, error) {
	rep := newReporter(dir)
	r := &refs{files: map[string]*file{}, broken: map[string]bool{}}
	names := list(fsys, rep)
	for _, name := range names {
		r.broken[name] = true
		src, err := read(fsys, name)
		if err != nil {
			rep.addErr(name, 0, "", fmt.Sprintf("cannot be read: %v; correct it, or take it out of the directory", cause(err)), err)
			continue
		}
		root := parseYAML(name, src, rep)
		if root == nil {
			continue
		}
		if root.Kind != tree.ObjectKind {
			rep.add(name, root.Line, "", "is not a mapping; write lines of key: value, beginning with x-event")
			continue
		}
		delete(r.broken, name)
		r.files[name] = newFile(name, root, rep)
	}
	checks := newChecker(rep, r)
	for _, name := range names {
		if f := r.files[name]; f != nil {
			checks.file(f)
		}
	}
	l := &loading{rep: rep, refs: r, bad: rep.files(), first: map[string]string{}}
	reg := &Registry{byType: map[string]*Schema{}}
	for _, name := range names {
		f := r.files[name]
		if f == nil || isShared(name) {
			if f != nil && f.root.Get("x-event") != nil {
				f.fault(rep, "/x-event", "is in a file of shared definitions; take the _ off its name, or delete this")
			}
			continue
		}
		if s := l.event(f); s != nil {
			reg.byType[s.Type] = s
			reg.sorted = append(reg.sorted, s)
		}
	}
	if err := rep.err(); err != nil {
		return nil, err
	}
	reg.warnings = rep.warnings
	slices.SortFunc(reg.sorted, func(a, b *Schema) int { return strings.Compare(a.Type, b.Type) })
	return reg, nil
}

// list returns the YAML files below the root, sorted.
func list(fsys fs.FS, rep *reporter) []string {
	var names []string
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			rep.addErr(name, 0, "", fmt.Sprintf("cannot be read: %v; correct its permissions", cause(err)), err)
			return nil
		}
		// Kubernetes mounts files as links into a directory "..data".
		if isHidden(name) || d.IsDir() && d.Name() == testdata {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() || !isYAML(name) {
			return nil
		}
		if len(names) == maxFiles {
			rep.add("", 0, "", fmt.Sprintf("holds more than %d files; split the directory", maxFiles))
			return fs.SkipAll
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		rep.addErr("", 0, "", fmt.Sprintf("cannot be read: %v", cause(err)), err)
	}
	slices.Sort(names)
	return names
}

func read(fsys fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(fsys, name) // follows links
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // to open a pipe would wait for ever
		return nil, errors.New("is no regular file")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only
	return io.ReadAll(io.LimitReader(f, textfile.MaxBytes+1))
}

// cause is a file error without the path, which the fault has in front.
func cause(err error) error {
	var perr *fs.PathError
	if errors.As(err, &perr) {
		return perr.Err
	}
	return err
}

// loading makes schemas of the files that hold events.
type loading struct {
	rep   *reporter
	refs  *refs
	bad   map[string]bool   // files with a fault of YAML or JSON Schema
	first map[string]string // file by type
}

func (l *loading) event(f *file) *Schema {
	before := len(l.rep.faults)
	s := l.header(f)
	if s.Type != "" {
		if was, dup := l.first[s.Type]; dup {
			f.fault(l.rep, "/x-event/type", fmt.Sprintf("%s is also the type of %s; one file holds one type, so delete one of them",
				s.Type, l.path(was)))
		} else {
			l.first[s.Type] = f.name
		}
	}
	examples := l.prose(f, s)
	// One fault of a shared definition would otherwise be reported many times.
	if !l.sound(f, map[string]bool{}) {
		return nil
	}
	if l.compile(f, s) && len(l.rep.faults) == before {
		l.examples(f, s, examples)
	}
	s.File = l.path(f.name)
	return s
}

// path is a file's name as faults and callers see it.
func (l *loading) path(name string) string { return l.rep.path(name) }

// compile makes what Validate and Bundle use.
func (l *loading) compile(f *file, s *Schema) bool {
	doc, origin := bundle(l.refs, f)
	s.bundle, s.origin = doc, map[string]Origin{}
	for name, t := range origin {
		s.origin[name] = Origin{File: l.path(t.file), Pointer: t.ptr}
	}
	l.shape(f, s)
	v, err := quick.Compile("schema:///event", s.bundle.Plain(), quick.Nothing{})
	if err != nil {
		f.fault(l.rep, "", fmt.Sprintf("cannot be compiled: %v; correct the schema", err))
		return false
	}
	s.drop = tree.Unnamed(s.bundle)
	v.Drop = s.drop
	s.check = v
	return true
}

// sound says whether neither f nor a file that it leads to has a fault.
func (l *loading) sound(f *file, seen map[string]bool) bool {
	if seen[f.name] {
		return true
	}
	seen[f.name] = true
	if l.bad[f.name] {
		return false
	}
	for _, ptr := range f.order {
		ref := f.schemas[ptr].Get("$ref").Str()
		if ref == "" {
			continue
		}
		t, _ := l.refs.resolve(f, ref)
		if t.file == "" || !l.sound(l.refs.files[t.file], seen) {
			return false
		}
	}
	return true
}
