package schema

import (
	"eventserver/app/schema/tree"
	"fmt"
	"path"
	"strings"
)

// file is one file of the directory that could be read as YAML.
type file struct {
	name    string // below the directory, with slashes
	root    *tree.Value
	schemas map[string]*tree.Value // every schema of the file, by its pointer
	anchors map[string]string      // pointers by $anchor
	order   []string               // the pointers in the order of the file
}

func newFile(name string, root *tree.Value, rep *reporter) *file {
	f := &file{name: name, root: root, schemas: map[string]*tree.Value{}, anchors: map[string]string{}}
	f.collect(root, "", rep)
	return f
}

func (f *file) collect(s *tree.Value, ptr string, rep *reporter) {
	f.schemas[ptr] = s
	f.order = append(f.order, ptr)
	if a := s.Get("$anchor").Str(); a != "" {
		if first, dup := f.anchors[a]; dup {
			rep.add(f.name, f.root.LineAt(ptr+"/$anchor"), ptr+"/$anchor",
				fmt.Sprintf("%s is also the anchor of %s; give each its own", tree.Quote(a), tree.ShownPointer(first)))
		} else {
			f.anchors[a] = ptr
		}
	}
	tree.Subschemas(s, ptr, func(sub *tree.Value, at, _ string) { f.collect(sub, at, rep) })
}

// fault reports at the value that ptr points to.
func (f *file) fault(rep *reporter, ptr, msg string) { rep.add(f.name, f.root.LineAt(ptr), ptr, msg) }

// isShared says whether a file holds definitions and no event.
func isShared(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, "_") {
			return true
		}
	}
	return false
}

func isHidden(name string) bool { return strings.HasPrefix(path.Base(name), ".") && name != "." }

func isYAML(name string) bool {
	ext := path.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}
