package schema

import (
	"eventserver/app/schema/tree"
	"fmt"
	"net/url"
	"path"
	"strings"
)

// target is a schema that a $ref names.
type target struct {
	file string
	ptr  string
}

// refs resolves the $refs of the files of one directory.
type refs struct {
	files  map[string]*file
	broken map[string]bool // files that are there but could not be read
}

// resolve finds what ref, written in the file from, names. A message says why
// not; with neither, the file it names has faults of its own.
func (r *refs) resolve(from *file, ref string) (target, string) {
	shown := tree.Quote(ref)
	u, err := url.Parse(ref)
	if err != nil {
		return target{}, shown + ` is no reference; write one such as "#/$defs/money" or "_common.yaml#/$defs/money"`
	}
	if u.Scheme != "" || u.Host != "" || u.RawQuery != "" || strings.HasPrefix(u.Path, "/") || strings.Contains(u.Path, `\`) {
		return target{}, shown + " leaves the directory of the schemas; copy what it names into it, and write a relative path"
	}
	to := from
	if u.Path != "" {
		name := path.Join(path.Dir(from.name), u.Path)
		if name == ".." || strings.HasPrefix(name, "../") {
			return target{}, shown + " leaves the directory of the schemas; move the file into it"
		}
		if r.broken[name] {
			return target{}, ""
		}
		if to = r.files[name]; to == nil {
			return target{}, fmt.Sprintf("%s names no schema file; %s", shown, tree.Meant(name, tree.SortedKeys(r.files)))
		}
	}
	ptr := u.Fragment
	if at, ok := to.anchors[ptr]; ok {
		return target{to.name, at}, ""
	}
	if to.schemas[ptr] == nil {
		return target{}, fmt.Sprintf("%s: %s has no schema at %s; name one, such as #/$defs/money", shown, to.name, tree.Quote("#"+ptr))
	}
	return target{to.name, ptr}, ""
}
