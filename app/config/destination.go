package config

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"eventserver/app/textfile"
)

// KindCheck decodes and validates the keys of one kind of destination, or of broker, usually
// by Settings.Decode into a fresh struct. It may check more: an error that
// starts with a key ("filter: ...") is reported at that key. CheckInto makes
// one for a plain struct.
type KindCheck func(s *Settings) error

// CheckInto is the KindCheck of a kind whose keys are the fields of the struct
// T: map[string]config.KindCheck{"webhook": config.CheckInto[webhook.Config]}.
func CheckInto[T any](s *Settings) error {
	var c T
	return s.Decode(&c)
}

// Settings are the keys of one destination, or of the broker, still in YAML, for its
// kind to decode. Safe for use from many goroutines.
type Settings struct {
	file, path string
	node       *yaml.Node
	others     []string    // keys that are not the kind's
	common     Destination // zero for the broker
	nodes      *int        // shared with the load that is going on; nil after it
	checks     Checks

	mu    sync.Mutex
	hide  hider
	keys  []string   // the kind's keys
	shown *yaml.Node // their effective values, secrets hidden
	value any        // the struct that was decoded last

	warnings []*Fault // of the kind's Warner
	missing  []*Fault // what Checks.Partly left out
}

// Path is where the destination stands in the file: "destinations[2]".
func (s *Settings) Path() string { return s.path }

// Common returns the destination's common keys. Its Settings is nil. Of a broker it
// is the zero value.
func (s *Settings) Common() Destination { return s.common }

// Decode fills the struct that dst points to from the destination's keys:
// defaults, values, environment and secret files, then dst's Validate. Keys
// that neither dst nor the common keys have are unknown. The error is *Faults.
// A dst that is not a pointer to a struct, or has wrong tags, panics.
func (s *Settings) Decode(dst any) error {
	p := reflect.ValueOf(dst)
	if p.Kind() != reflect.Pointer || p.IsNil() || p.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("config: Settings.Decode needs a pointer to a struct, not %T", dst))
	}
	v := p.Elem()
	l := s.checks.loader(s.file)
	if s.nodes != nil {
		l.nodes = s.nodes
	}
	n := s.node
	if n == nil {
		n = &yaml.Node{Kind: yaml.MappingNode}
	}
	setDefaults(v)
	l.keys(n, s.path, v, s.others, false)
	l.validate(n, s.path, v)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.hide.addAll(&l.hide)
	s.keys, s.shown, s.missing = keysOf(fieldsOf(v.Type())), redactStruct(v), l.missing
	s.value = v.Interface()
	s.warnings = l.warnings
	for _, unknown := range l.unknown { // no kind is to take the text of the file for a value
		unknown.SetZero()
	}
	return newFaults(l.faults, &l.hide)
}

func commonKeys() []string { return keysOf(fieldsOf(reflect.TypeFor[Destination]())) }

// byKind lets a kind check its keys.
func byKind(l *loader, s *Settings, check KindCheck) {
	err := check(s)
	l.hide.addAll(&s.hide)
	l.missing = append(l.missing, s.missing...)
	l.warnings = append(l.warnings, s.warnings...)
	l.attribute(err, s.node, s.path, slices.Concat(s.others, s.keys))
}

// destination finishes the common keys and lets the kind check its own.
func (c Checks) destination(l *loader, n *yaml.Node, path string, d *Destination) {
	if d.RateLimit.Burst == 0 {
		d.RateLimit.Burst = int(math.Max(1, math.Min(math.Ceil(d.RateLimit.PerSecond), math.MaxInt32)))
	}
	s := &Settings{file: l.file, path: path, node: n, others: commonKeys(), common: *d, nodes: l.nodes, checks: c}
	defer func() { s.nodes = nil }()
	d.Settings = s
	if c.Kinds == nil {
		return
	}
	common := s.others
	known := slices.Sorted(maps.Keys(c.Kinds))
	check, ok := c.Kinds[d.Kind]
	near := ""
	if line, at, readable := l.find(n, path, []string{"kind"}); !ok && readable {
		cure := "write one of " + strings.Join(known, ", ")
		if near = textfile.Nearest(d.Kind, known, 2); near != "" {
			cure = fmt.Sprintf("did you mean %q?", near)
			check, ok = c.Kinds[near], true // so that its other faults are found, too
		}
		l.add(line, at, fmt.Sprintf("%s is not a kind of destination; %s", quote(d.Kind), cure))
	}
	if ok {
		byKind(l, s, check)
		return
	}
	// Whose keys the others are is not known, but a slip in a common key is
	// still worth telling.
	for _, e := range l.entries(n, path, 0) {
		if near := textfile.Nearest(e.key, common, 1); near != "" && near != e.key && !slices.Contains(common, e.key) {
			l.add(e.line, joinPath(path, e.key), unknown(e.key, common))
		}
	}
}
