package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"

	"eventserver/app/textfile"
	"eventserver/router/plural"
)

// maxNodes bounds the work for one file: aliases of aliases can stand for far
// more values than a file of 1 MiB can hold. A thousand destinations with
// every key given are 50,000.
const maxNodes = 200_000

// loader decodes one file, or one destination's keys, and collects the faults.
type loader struct {
	file   string
	opts   options
	hooks  hooks
	faults []*Fault
	seen   map[Fault]bool
	bad    map[string]bool // paths whose value could not be read
	hide   hider
	nodes  *int // values that may still be read

	warnings []*Fault // of a Warner, where options.strict does not make faults of them

	missing []*Fault        // what options.partly left out
	unknown []reflect.Value // their values, which hold the text of the file
}

// options say how a file is read and checked.
type options struct {
	here   bool // look for what cannot work on this machine: see Prechecker
	strict bool // make faults of warnings: see Warner
	partly bool // leave values out whose variable is not set, or whose secret file cannot be read
}

// hooks are what the owner of the structs adds to their tags; a nil one adds nothing.
type hooks struct {
	words func(of reflect.Type, key string) []string        // that a key may have beside those of its oneof
	after func(l *loader, n *yaml.Node, path string, v any) // a pointer to a struct was decoded and checked
}

// open is implemented by a struct beside whose keys others stand that somebody else
// reads, such as those of a kind.
type open interface {
	Others() *yaml.Node // they as they may be shown; nil: there are none
}

func newLoader(file string, opts options, h hooks) *loader {
	nodes := maxNodes
	return &loader{file: file, opts: opts, hooks: h, seen: map[Fault]bool{}, bad: map[string]bool{}, nodes: &nodes}
}

// document is the root mapping of the file's only document; nil when there is
// nothing to decode.
func (l *loader) document(src []byte, cures textfile.Cures) *yaml.Node {
	read := true
	root := textfile.Document(src, cures, func(line int, msg string) { read = false; l.add(line, "", msg) })
	if root == nil && read {
		return &yaml.Node{Kind: yaml.MappingNode, Line: 1}
	}
	return root
}

func (l *loader) add(line int, path, msg string) {
	f := Fault{File: l.file, Line: line, Path: path, Msg: msg}
	// A mapping that merges itself meets the same fault many thousand times.
	if !l.seen[f] {
		l.seen[f] = true
		l.faults = append(l.faults, &f)
	}
}

// unreadable adds a fault and marks path, so that a later check does not
// complain about the value that stands there instead.
func (l *loader) unreadable(n *yaml.Node, path, msg string) {
	l.bad[path] = true
	l.add(n.Line, path, msg)
}

func (l *loader) spend(n *yaml.Node, path string, count int) bool {
	had := *l.nodes
	*l.nodes -= count
	if *l.nodes < 0 && had >= 0 {
		l.add(n.Line, path, fmt.Sprintf("the file stands for more than %d values, those behind aliases included; use fewer", maxNodes))
	}
	return *l.nodes >= 0
}

func deref(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

var coreTags = map[string]bool{
	"!!str": true, "!!int": true, "!!float": true, "!!bool": true, "!!null": true, "!!map": true, "!!seq": true,
}

// value decodes n into v.
func (l *loader) value(n *yaml.Node, path string, v reflect.Value, f field) {
	n = deref(n)
	if !l.spend(n, path, 1) {
		return
	}
	if n.Style&yaml.TaggedStyle != 0 && !coreTags[n.ShortTag()] {
		// The tag is not shown: an unquoted secret may start with "!".
		l.unreadable(n, path, "has a YAML tag (!name); delete it, or quote a value that starts with !")
		return
	}
	if isNull(n) {
		l.unreadable(n, path, "has no value; "+fillIn(f))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		f.typ = v.Type().Elem()
		p := reflect.New(f.typ)
		l.value(n, path, p.Elem(), f)
		v.Set(p)
	case reflect.Struct:
		l.structure(n, path, v)
	case reflect.Slice:
		l.list(n, path, v, f)
	case reflect.Map:
		l.mapping(n, path, v, f)
	default:
		l.scalar(n, path, v, f)
	}
}

var nodeNames = map[yaml.Kind]string{
	yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value",
}

func (l *loader) scalar(n *yaml.Node, path string, v reflect.Value, f field) {
	if n.Kind != yaml.ScalarNode {
		l.unreadable(n, path, "is "+nodeNames[n.Kind]+", not a single value; write one value on the line of the key")
		return
	}
	text, err := expand(n.Value, &l.hide)
	if err != nil {
		for _, leaf := range leaves(err) {
			if l.opts.partly && errors.As(leaf, new(*unsetError)) {
				l.leave(&Fault{File: l.file, Line: n.Line, Path: path, Msg: leaf.Error()})
				if v.Kind() == reflect.String { // for those who look at the configuration
					v.SetString(n.Value)
					l.unknown = append(l.unknown, v)
				}
				continue
			}
			l.unreadable(n, path, leaf.Error())
		}
		return
	}
	shown := quote(n.Value)
	if text != n.Value {
		shown += " with the environment filled in"
	}
	if f.hide {
		l.hide.add(n.Value, hiddenText)
		l.hide.add(text, hiddenText)
		shown = "the value"
	}
	if f.required && text == "" {
		l.unreadable(n, path, "empty; "+give(f))
		return
	}
	old := reflect.New(v.Type()).Elem()
	old.Set(v)
	if err := setScalar(v, text, f); err != nil {
		l.unreadable(n, path, shown+" "+err.Error())
	} else if err := checkLimits(v, f, shown); err != nil {
		l.unreadable(n, path, err.Error())
		v.Set(old) // so that checks of other keys against this one see a possible value
	}
}

func (l *loader) list(n *yaml.Node, path string, v reflect.Value, f field) {
	if n.Kind != yaml.SequenceNode {
		l.unreadable(n, path, "is "+nodeNames[n.Kind]+", not a list; write [a, b], or a line with a dash for each entry")
		return
	}
	count, entries := reflect.ValueOf(len(n.Content)), field{name: f.name}
	switch {
	case f.min != "" && less(count, limit(count, entries, f.min)):
		l.unreadable(n, path, fmt.Sprintf("has %s; give at least %s", plural.Count(len(n.Content), "entry", "entries"), f.min))
		return
	case f.max != "" && less(limit(count, entries, f.max), count):
		l.unreadable(n, path, fmt.Sprintf("has %s; give at most %s", plural.Count(len(n.Content), "entry", "entries"), f.max))
		return
	}
	s := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		e := f.elem()
		e.dash = true
		l.value(c, fmt.Sprintf("%s[%d]", path, i), s.Index(i), e)
	}
	v.Set(s)
}

func (l *loader) mapping(n *yaml.Node, path string, v reflect.Value, f field) {
	if n.Kind != yaml.MappingNode {
		l.unreadable(n, path, "is "+nodeNames[n.Kind]+", not a mapping; write lines of key: value")
		return
	}
	m := reflect.MakeMap(v.Type())
	for _, e := range l.entries(n, path, 0) {
		ev := reflect.New(v.Type().Elem()).Elem()
		l.value(e.value, joinPath(path, e.key), ev, f.elem())
		m.SetMapIndex(reflect.ValueOf(e.key).Convert(v.Type().Key()), ev)
	}
	v.Set(m)
}

// structure decodes the mapping n into the struct v, defaults first, and runs
// the struct's own checks.
func (l *loader) structure(n *yaml.Node, path string, v reflect.Value) {
	setDefaults(v)
	if n.Kind != yaml.MappingNode {
		l.unreadable(n, path, "is "+nodeNames[n.Kind]+", not a mapping; write lines of key: value")
		return
	}
	_, more := v.Interface().(open)
	l.keys(n, path, v, nil, more)
	l.validate(n, path, v)
	if l.hooks.after != nil {
		l.hooks.after(l, n, path, v.Addr().Interface())
	}
}

// keys decodes the keys of n that v has. Keys of neither v nor others are
// unknown, unless open says that somebody else reads them.
func (l *loader) keys(n *yaml.Node, path string, v reflect.Value, others []string, open bool) {
	fields := fieldsOf(v.Type())
	given := map[string]entry{}
	known := map[string]bool{}
	names := append(keysOf(fields), others...)
	for _, name := range names {
		known[name] = true
	}
	for _, e := range l.entries(n, path, 0) {
		given[e.key] = e
		if !known[e.key] && !open {
			l.add(e.line, joinPath(path, e.key), unknown(e.key, names))
		}
	}
	for _, f := range fields {
		at, fv := joinPath(path, f.name), v.FieldByIndex(f.index)
		if l.hooks.words != nil {
			f.oneof = append(f.oneof, l.hooks.words(v.Type(), f.name)...)
		}
		e, ok := given[f.name]
		if f.isSecret() {
			if file, byFile := given[f.name+"_file"]; byFile && ok {
				l.unreadable(file.value, at+"_file", fmt.Sprintf("both %s and %s_file are given; delete one", f.name, f.name))
				ok = true
			} else if byFile {
				l.secretFile(file.value, at, fv, f)
				continue
			}
		}
		switch {
		case ok:
			l.value(e.value, at, fv, f)
		case f.required:
			l.unreadable(n, at, "missing; "+give(f))
		}
	}
}

// give is the cure for a key without a value: what the key means.
func give(f field) string {
	doc, _, _ := strings.Cut(f.doc, ";")
	doc, _, _ = strings.Cut(doc, ". ")
	if doc = strings.TrimSuffix(doc, "."); doc == "" {
		return "give " + f.name
	}
	return "give " + f.name + " (" + doc + ")"
}

// fillIn is the cure for a key, or a dash, with nothing behind it.
func fillIn(f field) string {
	t := f.typ
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	cure := "give one"
	switch {
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		cure = "write a line with a dash below it for each entry"
	case t.Kind() == reflect.Slice:
		cure = "write a list such as [a, b], or a line with a dash below it for each entry"
	case f.dash && (t.Kind() == reflect.Map || t.Kind() == reflect.Struct):
		cure = "write its keys behind the dash"
	case t.Kind() == reflect.Map, t.Kind() == reflect.Struct:
		cure = "write lines of key: value below it, indented"
	case len(f.oneof) > 0:
		cure = "write one of " + strings.Join(f.oneof, ", ")
	case t.Kind() == reflect.Bool:
		cure = "write true or false"
	case f.required:
		cure = give(f)
	}
	if t.Kind() == reflect.Slice && (f.min == "" || f.min == "0") {
		cure += ", or [] for none"
	}
	switch {
	case f.dash:
		cure += ", or delete the dash"
	case f.required:
	case f.def != "":
		cure += ", or delete the key for its default " + f.def
	default:
		cure += ", or delete the key"
	}
	return cure
}

type entry struct {
	key   string
	line  int
	value *yaml.Node
}

// entries lists the keys of a mapping, each once, with those merged in by
// "<<" behind its own. The parser leaves both to us.
func (l *loader) entries(n *yaml.Node, path string, depth int) []entry {
	var list []entry
	first := map[string]int{}
	var merges []*yaml.Node
	if !l.spend(n, path, len(n.Content)/2) {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := deref(n.Content[i]), n.Content[i+1]
		if k.Kind != yaml.ScalarNode || isNull(k) {
			l.add(k.Line, path, "has a key that is not text; write a word before the colon")
			continue
		}
		if line, dup := first[k.Value]; dup {
			l.add(n.Content[i].Line, joinPath(path, k.Value), fmt.Sprintf("duplicate key, first given on line %d; delete one", line))
			continue
		}
		first[k.Value] = n.Content[i].Line
		if k.ShortTag() == "!!merge" {
			merges = append(merges, v)
			continue
		}
		list = append(list, entry{k.Value, n.Content[i].Line, v})
	}
	for len(merges) > 0 {
		m := deref(merges[0])
		merges = merges[1:]
		switch {
		case m.Kind == yaml.SequenceNode && depth < 10:
			depth++ // a list that holds itself ends
			merges = append(append([]*yaml.Node{}, m.Content...), merges...)
		case m.Kind == yaml.MappingNode && depth < 10:
			for _, e := range l.entries(m, path, depth+1) {
				if _, own := first[e.key]; !own {
					first[e.key] = e.line
					list = append(list, e)
				}
			}
		default:
			l.add(m.Line, path, "<< does not name a mapping, or names itself; write <<: *anchor with the anchor of another mapping")
		}
		if *l.nodes < 0 {
			return list
		}
	}
	return list
}
