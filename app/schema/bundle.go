package schema

import (
	"fmt"
	"path"
	"strings"
)

// bundle makes one document of the file f and all that it refers to. Every $ref of
// f and of what it names has been resolved before. The map tells the origin of
// what is under $defs and is not f's own.
func bundle(r *refs, f *file) (*value, map[string]target) {
	b := &bundler{refs: r, entry: f, names: map[target]string{}, used: map[string]bool{}}
	defs := f.root.get("$defs")
	if defs != nil {
		for _, m := range defs.members {
			b.used[m.name] = true
		}
	}
	root := b.copy(f, f.root)
	for len(b.queue) > 0 { // copying finds more
		t := b.queue[0]
		b.queue = b.queue[1:]
		from := r.files[t.file]
		def := b.copy(from, from.schemas[t.ptr])
		b.defs = append(b.defs, member{name: b.names[t], line: def.line, value: def})
	}
	out := &value{kind: objectKind, line: root.line}
	out.members = append(out.members, member{name: "$schema", value: &value{kind: stringKind, text: draft}})
	merged := false
	for _, m := range root.members {
		if m.name == "$defs" {
			merged = true
			both := append(append([]member{}, m.value.members...), b.defs...)
			m.value = &value{kind: objectKind, line: m.value.line, members: both}
		}
		out.members = append(out.members, m)
	}
	if !merged && len(b.defs) > 0 {
		out.members = append(out.members, member{name: "$defs", value: &value{kind: objectKind, members: b.defs}})
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
	defs  []member
}

// copy is the schema s of a file with its $refs rewritten. Anchors and $schema are
// left out: nothing needs them any more, and two files may have the same.
func (b *bundler) copy(f *file, s *value) *value {
	if s.kind != objectKind {
		return s
	}
	out := &value{kind: objectKind, line: s.line}
	for _, m := range s.members {
		v := m.value
		switch {
		case m.name == "$anchor" || m.name == "$schema":
			continue
		case m.name == "x-event" && f != b.entry:
			continue
		case m.name == "$ref":
			v = &value{kind: stringKind, line: v.line, text: b.ref(f, v.text)}
		case keywords[m.name] == holdsSchema:
			v = b.copy(f, v)
		case keywords[m.name] == holdsList:
			list := &value{kind: arrayKind, line: v.line}
			for _, sub := range v.items {
				list.items = append(list.items, b.copy(f, sub))
			}
			v = list
		case keywords[m.name] == holdsMap:
			if v.kind != objectKind {
				break
			}
			sub := &value{kind: objectKind, line: v.line}
			for _, e := range v.members {
				sub.members = append(sub.members, member{e.name, e.line, b.copy(f, e.value)})
			}
			v = sub
		}
		out.members = append(out.members, member{m.name, m.line, v})
	}
	return out
}

func (b *bundler) ref(f *file, ref string) string {
	t, _ := b.refs.resolve(f, ref)
	if t.file == b.entry.name {
		return fragment(t.ptr)
	}
	name, known := b.names[t]
	if !known {
		name = b.name(t)
		b.names[t], b.used[name] = name, true
		b.queue = append(b.queue, t)
	}
	return fragment("/$defs/" + escape(name))
}

// name is the target's own, or its file's, with a number when that is taken.
func (b *bundler) name(t target) string {
	toks, _ := tokens(t.ptr)
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
