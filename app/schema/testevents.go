package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// testdata is the directory of events that the schemas are tried with. Load does
// not read it, as the Go command does not.
const testdata = "testdata"

// TestCount is how many test events of one type there are.
type TestCount struct{ Valid, Invalid int }

// TestEvents tries the events in dir/testdata/<type>: valid-*.json must be
// accepted, key and all; invalid-<rule>.json and invalid-<rule>-*.json must be
// refused by that rule first, e.g. invalid-required.json. It counts them by type;
// every type of the registry has an entry. The error is *Faults: each event that
// is not what its name says, and each file that no type has.
func (r *Registry) TestEvents(dir string) (map[string]TestCount, error) {
	rep := newReporter(filepath.Join(dir, testdata))
	counts := map[string]TestCount{}
	for _, s := range r.sorted {
		counts[s.Type] = TestCount{}
	}
	root, err := openDir(filepath.Join(dir, testdata))
	if errors.Is(err, fs.ErrNotExist) {
		return counts, nil
	}
	if err != nil {
		rep.addErr("", 0, "", fmt.Sprintf("cannot be read: %v; give the directory of the schemas", cause(err)), err)
		return counts, rep.err()
	}
	defer func() { _ = root.Close() }() // read only
	fsys := root.FS()
	for _, name := range testFiles(fsys, rep) {
		typ, base := path.Split(name)
		s, ok := r.Lookup(strings.TrimSuffix(typ, "/"))
		if !ok {
			rep.add(name, 0, "", "is of no type that has a schema; put it into testdata/<type>/, or delete it")
			continue
		}
		data, err := read(fsys, name)
		if err != nil {
			rep.addErr(name, 0, "", fmt.Sprintf("cannot be read: %v", cause(err)), err)
			continue
		}
		c := counts[s.Type]
		if msg := s.try(base, data, &c); msg != "" {
			rep.add(name, 0, "", msg)
		}
		counts[s.Type] = c
	}
	return counts, rep.err()
}

// try says what is wrong with a test event or its name.
func (s *Schema) try(base string, data []byte, c *TestCount) string {
	name, isJSON := strings.CutSuffix(base, ".json")
	rule, invalid := strings.CutPrefix(name, "invalid-")
	if !isJSON || !invalid && !strings.HasPrefix(name, "valid-") {
		return "is no name of a test event; call it valid-<what>.json, or invalid-<rule>-<what>.json after the rule that it breaks"
	}
	err := s.Validate(data)
	if err == nil {
		_, _, err = s.Key(data)
	}
	var v *Violation
	broken := errors.As(err, &v)
	if !invalid {
		c.Valid++
		if broken {
			return fmt.Sprintf("is refused: %v; correct the event or the schema", v)
		}
		return ""
	}
	c.Invalid++
	switch {
	case !broken:
		return "is accepted; correct the event or the schema, or call it valid-*.json"
	case rule != v.Rule && !strings.HasPrefix(rule, v.Rule+"-"):
		return fmt.Sprintf("is refused by another rule than its name says: %v; correct the event, or call it invalid-%s.json", v, v.Rule)
	}
	return ""
}

// testFiles returns all files, sorted.
func testFiles(fsys fs.FS, rep *reporter) []string {
	var names []string
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			rep.addErr(name, 0, "", fmt.Sprintf("cannot be read: %v; correct its permissions", cause(err)), err)
		case isHidden(name) && d.IsDir():
			return fs.SkipDir
		case !isHidden(name) && !d.IsDir():
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		rep.addErr("", 0, "", fmt.Sprintf("cannot be read: %v", cause(err)), err)
	}
	slices.Sort(names)
	return names
}
