package strict

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

// Loader decodes one file, or one destination's keys, and collects the faults.
type Loader struct {
	File   string
	opts   Options
	hooks  Hooks
	Faults []*Fault
	seen   map[Fault]bool
	bad    map[string]bool // paths whose value could not be read
	Hide   Hider
	Nodes  *int // values that may still be read

	Warnings []*Fault // of a Warner, where options.strict does not make faults of them

	Missing []*Fault        // what options.partly left out
	Unread  []reflect.Value // their values, which hold the text of the file
}

// Options say how a file is read and checked.
type Options struct {
	Here   bool // look for what cannot work on this machine: see Prechecker
	Strict bool // make faults of warnings: see Warner
	Partly bool // leave values out whose variable is not set, or whose secret file cannot be read
}

// Hooks are what the owner of the structs adds to their tags; a nil one adds nothing.
type Hooks struct {
	Words func(of reflect.Type, key string) []string        // that a key may have beside those of its oneof
	After func(l *Loader, n *yaml.Node, path string, v any) // a pointer to a struct was decoded and checked
}

// Open is implemented by a struct beside whose keys others stand that somebody else
// reads, such as those of a kind.
type Open interface {
	Others() *yaml.Node // they as they may be shown; nil: there are none
}

// New makes the loader of one file.
func New(file string, opts Options, h Hooks) *Loader {
	nodes := maxNodes
	return &Loader{File: file, opts: opts, hooks: h, seen: map[Fault]bool{}, bad: map[string]bool{}, Nodes: &nodes}
}

// Document is the root mapping of the file's only document; nil when there is
// nothing to decode.
func (l *Loader) Document(src []byte, cures textfile.Cures) *yaml.Node {
	read := true
	root := textfile.Document(src, cures, func(line int, msg string) { read = false; l.Add(line, "", msg) })
	if root == nil && read {
		return &yaml.Node{Kind: yaml.MappingNode, Line: 1}
	}
	return root
}

// Add adds a fault.
func (l *Loader) Add(line int, path, msg string) {
	f := Fault{File: l.File, Line: line, Path: path, Msg: msg}
	// A mapping that merges itself meets the same fault many thousand times.
	if !l.seen[f] {
		l.seen[f] = true
		l.Faults = append(l.Faults, &f)
	}
}

// unreadable adds a fault and marks path, so that a later check does not
// complain about the value that stands there instead.
func (l *Loader) unreadable(n *yaml.Node, path, msg string) {
	l.bad[path] = true
	l.Add(n.Line, path, msg)
}

func (l *Loader) spend(n *yaml.Node, path string, count int) bool {
	had := *l.Nodes
	*l.Nodes -= count
	if *l.Nodes < 0 && had >= 0 {
		l.Add(n.Line, path, fmt.Sprintf("the file stands for more than %d values, those behind aliases included; use fewer", maxNodes))
	}
	return *l.Nodes >= 0
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
func (l *Loader) value(n *yaml.Node, path string, v reflect.Value, f Field) {
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
		f.Type = v.Type().Elem()
		p := reflect.New(f.Type)
		l.value(n, path, p.Elem(), f)
		v.Set(p)
	case reflect.Struct:
		l.Structure(n, path, v)
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

func (l *Loader) scalar(n *yaml.Node, path string, v reflect.Value, f Field) {
	if n.Kind != yaml.ScalarNode {
		l.unreadable(n, path, "is "+nodeNames[n.Kind]+", not a single value; write one value on the line of the key")
		return
	}
	text, err := expand(n.Value, &l.Hide)
	if err != nil {
		for _, leaf := range leaves(err) {
			if l.opts.Partly && errors.As(leaf, new(*unsetError)) {
				l.leave(&Fault{File: l.File, Line: n.Line, Path: path, Msg: leaf.Error()})
				if v.Kind() == reflect.String { // for those who look at the configuration
					v.SetString(n.Value)
					l.Unread = append(l.Unread, v)
				}
				continue
			}
			l.unreadable(n, path, leaf.Error())
		}
		return
	}
	shown := Quote(n.Value)
	if text != n.Value {
		shown += " with the environment filled in"
	}
	if f.hide {
		l.Hide.add(n.Value, hiddenText)
		l.Hide.add(text, hiddenText)
		shown = "the value"
	}
	if f.Required && text == "" {
		l.unreadable(n, path, "empty; "+give(f))
		return
	}
	old := reflect.New(v.Type()).Elem()
	old.Set(v)
	if err := SetScalar(v, text, f); err != nil {
		l.unreadable(n, path, shown+" "+err.Error())
	} else if err := CheckLimits(v, f, shown); err != nil {
		l.unreadable(n, path, err.Error())
		v.Set(old) // so that checks of other keys against this one see a possible value
	}
}

func (l *Loader) list(n *yaml.Node, path string, v reflect.Value, f Field) {
	if n.Kind != yaml.SequenceNode {
		l.unreadable(n, path, "is "+nodeNames[n.Kind]+", not a list; write [a, b], or a line with a dash for each entry")
		return
	}
	count, entries := reflect.ValueOf(len(n.Content)), Field{Name: f.Name}
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

func (l *Loader) mapping(n *yaml.Node, path string, v reflect.Value, f Field) {
	if n.Kind != yaml.MappingNode {
		l.unreadable(n, path, "is "+nodeNames[n.Kind]+", not a mapping; write lines of key: value")
		return
	}
	m := reflect.MakeMap(v.Type())
	for _, e := range l.Entries(n, path, 0) {
		ev := reflect.New(v.Type().Elem()).Elem()
		l.value(e.value, JoinPath(path, e.Key), ev, f.elem())
		m.SetMapIndex(reflect.ValueOf(e.Key).Convert(v.Type().Key()), ev)
	}
	v.Set(m)
}

// Structure decodes the mapping n into the struct v, defaults first, and runs
// the struct's own checks.
func (l *Loader) Structure(n *yaml.Node, path string, v reflect.Value) {
	SetDefaults(v)
	if n.Kind != yaml.MappingNode {
		l.unreadable(n, path, "is "+nodeNames[n.Kind]+", not a mapping; write lines of key: value")
		return
	}
	_, more := v.Interface().(Open)
	l.Keys(n, path, v, nil, more)
	l.Validate(n, path, v)
	if l.hooks.After != nil {
		l.hooks.After(l, n, path, v.Addr().Interface())
	}
}

// Keys decodes the keys of n that v has. Keys of neither v nor others are
// unknown, unless open says that somebody else reads them.
func (l *Loader) Keys(n *yaml.Node, path string, v reflect.Value, others []string, open bool) {
	fields := FieldsOf(v.Type())
	given := map[string]Entry{}
	known := map[string]bool{}
	names := append(KeysOf(fields), others...)
	for _, name := range names {
		known[name] = true
	}
	for _, e := range l.Entries(n, path, 0) {
		given[e.Key] = e
		if !known[e.Key] && !open {
			l.Add(e.Line, JoinPath(path, e.Key), Unknown(e.Key, names))
		}
	}
	for _, f := range fields {
		at, fv := JoinPath(path, f.Name), v.FieldByIndex(f.Index)
		if l.hooks.Words != nil {
			f.oneof = append(f.oneof, l.hooks.Words(v.Type(), f.Name)...)
		}
		e, ok := given[f.Name]
		if f.isSecret() {
			if file, byFile := given[f.Name+"_file"]; byFile && ok {
				l.unreadable(file.value, at+"_file", fmt.Sprintf("both %s and %s_file are given; delete one", f.Name, f.Name))
				ok = true
			} else if byFile {
				l.secretFile(file.value, at, fv, f)
				continue
			}
		}
		switch {
		case ok:
			l.value(e.value, at, fv, f)
		case f.Required:
			l.unreadable(n, at, "missing; "+give(f))
		}
	}
}

// give is the cure for a key without a value: what the key means.
func give(f Field) string {
	doc, _, _ := strings.Cut(f.Doc, ";")
	doc, _, _ = strings.Cut(doc, ". ")
	if doc = strings.TrimSuffix(doc, "."); doc == "" {
		return "give " + f.Name
	}
	return "give " + f.Name + " (" + doc + ")"
}

// fillIn is the cure for a key, or a dash, with nothing behind it.
func fillIn(f Field) string {
	t := f.Type
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
	case f.Required:
		cure = give(f)
	}
	if t.Kind() == reflect.Slice && (f.min == "" || f.min == "0") {
		cure += ", or [] for none"
	}
	switch {
	case f.dash:
		cure += ", or delete the dash"
	case f.Required:
	case f.Default != "":
		cure += ", or delete the key for its default " + f.Default
	default:
		cure += ", or delete the key"
	}
	return cure
}

// Entry is one key of a mapping.
type Entry struct {
	Key   string
	Line  int
	value *yaml.Node
}

// Entries lists the keys of a mapping, each once, with those merged in by
// "<<" behind its own. The parser leaves both to us.
func (l *Loader) Entries(n *yaml.Node, path string, depth int) []Entry {
	var list []Entry
	first := map[string]int{}
	var merges []*yaml.Node
	if !l.spend(n, path, len(n.Content)/2) {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := deref(n.Content[i]), n.Content[i+1]
		if k.Kind != yaml.ScalarNode || isNull(k) {
			l.Add(k.Line, path, "has a key that is not text; write a word before the colon")
			continue
		}
		if line, dup := first[k.Value]; dup {
			l.Add(n.Content[i].Line, JoinPath(path, k.Value), fmt.Sprintf("duplicate key, first given on line %d; delete one", line))
			continue
		}
		first[k.Value] = n.Content[i].Line
		if k.ShortTag() == "!!merge" {
			merges = append(merges, v)
			continue
		}
		list = append(list, Entry{k.Value, n.Content[i].Line, v})
	}
	for len(merges) > 0 {
		m := deref(merges[0])
		merges = merges[1:]
		switch {
		case m.Kind == yaml.SequenceNode && depth < 10:
			depth++ // a list that holds itself ends
			merges = append(append([]*yaml.Node{}, m.Content...), merges...)
		case m.Kind == yaml.MappingNode && depth < 10:
			for _, e := range l.Entries(m, path, depth+1) {
				if _, own := first[e.Key]; !own {
					first[e.Key] = e.Line
					list = append(list, e)
				}
			}
		default:
			l.Add(m.Line, path, "<< does not name a mapping, or names itself; write <<: *anchor with the anchor of another mapping")
		}
		if *l.Nodes < 0 {
			return list
		}
	}
	return list
}
