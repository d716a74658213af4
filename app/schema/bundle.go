package schema

import (
	"eventserver/app/schema/tree"
	"fmt"
	"path"
	"strings"
)

// bundle makes one document of the file f and all that it refers to. Every $ref of
// f and of what it names has been resolved before. The map tells the origin of
// what is under $defs and is not f's own.
func bundle(r *refs, f *file) (*tree.Value, map[string]target) {
	b := &bundler{refs: r, entry: f, names: map[target]string{}, used: map[string]bool{}}
	defs := f.root.Get("$defs")
	if defs != nil {
		for _, m := range defs.Members {
			b.used[m.Name] = true
		}
	}
	root := b.copy(f, f.root)
	for len(b.queue) > 0 { // copying finds more
		t := b.queue[0]
		b.queue = b.queue[1:]
		from := r.files[t.file]
		def := b.copy(from, from.schemas[t.ptr])
		b.defs = append(b.defs, tree.Member{Name: b.names[t], Line: def.Line, Value: def})
	}
	out := &tree.Value{Kind: tree.ObjectKind, Line: root.Line}
	out.Members = append(out.Members, tree.Member{Name: "$schema", Value: &tree.Value{Kind: tree.StringKind, Text: tree.Draft}})
	merged := false
	for _, m := range root.Members {
		if m.Name == "$defs" {
			merged = true
			both := append(append([]tree.Member{}, m.Value.Members...), b.defs...)
			m.Value = &tree.Value{Kind: tree.ObjectKind, Line: m.Value.Line, Members: both}
		}
		out.Members = append(out.Members, m)
	}
	if !merged && len(b.defs) > 0 {
		out.Members = append(out.Members, tree.Member{Name: "$defs", Value: &tree.Value{Kind: tree.ObjectKind, Members: b.defs}})
	}
	origin := map[string]target{}
	for t, name := range b.names {
		origin[name] = t
	}
	return out, origin
}

type bundler struct {
	refs  *refs
	entry *file
	names map[target]string // under $defs
	used  map[string]bool
	queue []target
	defs  []tree.Member
}

// copy is the schema s of a file with its $refs rewritten. Anchors and $schema are
// left out: nothing needs them any more, and two files may have the same.
func (b *bundler) copy(f *file, s *tree.Value) *tree.Value {
	if s.Kind != tree.ObjectKind {
		return s
	}
	out := &tree.Value{Kind: tree.ObjectKind, Line: s.Line}
	for _, m := range s.Members {
		v := m.Value
		switch {
		case m.Name == "$anchor" || m.Name == "$schema":
			continue
		case m.Name == "x-event" && f != b.entry:
			continue
		case m.Name == "$ref":
			v = &tree.Value{Kind: tree.StringKind, Line: v.Line, Text: b.ref(f, v.Text)}
		case tree.Keywords[m.Name] == tree.HoldsSchema:
			v = b.copy(f, v)
		case tree.Keywords[m.Name] == tree.HoldsList:
			list := &tree.Value{Kind: tree.ArrayKind, Line: v.Line}
			for _, sub := range v.Items {
				list.Items = append(list.Items, b.copy(f, sub))
			}
			v = list
		case tree.Keywords[m.Name] == tree.HoldsMap:
			if v.Kind != tree.ObjectKind {
				break
			}
			sub := &tree.Value{Kind: tree.ObjectKind, Line: v.Line}
			for _, e := range v.Members {
				sub.Members = append(sub.Members, tree.Member{Name: e.Name, Line: e.Line, Value: b.copy(f, e.Value)})
			}
			v = sub
		}
		out.Members = append(out.Members, tree.Member{Name: m.Name, Line: m.Line, Value: v})
	}
	return out
}

func (b *bundler) ref(f *file, ref string) string {
	t, _ := b.refs.resolve(f, ref)
	if t.file == b.entry.name {
		return tree.Fragment(t.ptr)
	}
	name, known := b.names[t]
	if !known {
		name = b.name(t)
		b.names[t], b.used[name] = name, true
		b.queue = append(b.queue, t)
	}
	return tree.Fragment("/$defs/" + tree.Escape(name))
}

// name is the target's own, or its file's, with a number when that is taken.
func (b *bundler) name(t target) string {
	toks, _ := tree.Tokens(t.ptr)
	base := strings.TrimPrefix(strings.TrimSuffix(path.Base(t.file), path.Ext(t.file)), "_")
	if len(toks) > 0 {
		base = toks[len(toks)-1]
	}
	name := base
	for n := 2; b.used[name]; n++ {
		name = fmt.Sprintf("%s_%d", base, n)
	}
	return name
}
