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

// KindCheck decodes and validates the keys of one kind of destination, usually
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

// Settings are the keys of one destination, still in YAML, for its kind to
// decode. Safe for use from many goroutines.
type Settings struct {
	file, path string
	node       *yaml.Node
	common     Destination
	nodes      *int // shared with the load that is going on; nil after it

	mu    sync.Mutex
	hide  hider
	keys  []string   // the kind's keys
	shown *yaml.Node // their effective values, secrets hidden
}

// Path is where the destination stands in the file: "destinations[2]".
func (s *Settings) Path() string { return s.path }

// Common returns the destination's common keys. Its Settings is nil.
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
	l := newLoader(s.file, nil)
	if s.nodes != nil {
		l.nodes = s.nodes
	}
	n := s.node
	if n == nil {
		n = &yaml.Node{Kind: yaml.MappingNode}
	}
	setDefaults(v)
	l.keys(n, s.path, v, commonKeys(), false)
	l.validate(n, s.path, v)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.hide.addAll(&l.hide)
	s.keys, s.shown = keysOf(fieldsOf(v.Type())), redactStruct(v)
	return newFaults(l.faults, &l.hide)
}

func commonKeys() []string { return keysOf(fieldsOf(reflect.TypeFor[Destination]())) }

// destination finishes the common keys and lets the kind check its own.
func (l *loader) destination(n *yaml.Node, path string, d *Destination) {
	if d.RateLimit.Burst == 0 {
		d.RateLimit.Burst = int(math.Max(1, math.Min(math.Ceil(d.RateLimit.PerSecond), math.MaxInt32)))
	}
	s := &Settings{file: l.file, path: path, node: n, common: *d, nodes: l.nodes}
	defer func() { s.nodes = nil }()
	d.Settings = s
	if l.kinds == nil {
		return
	}
	common := commonKeys()
	check, ok := l.kinds[d.Kind]
	if ok {
		err := check(s)
		l.hide.addAll(&s.hide)
		l.attribute(err, n, path, append(common, s.keys...))
		return
	}
	// Whose keys the others are is not known, but a slip in a common key is
	// still worth telling.
	for _, e := range l.entries(n, path, 0) {
		if near := textfile.Nearest(e.key, common, 1); near != "" && near != e.key && !slices.Contains(common, e.key) {
			l.add(e.line, joinPath(path, e.key), unknown(e.key, common))
		}
	}
	if line, at, readable := l.find(n, path, []string{"kind"}); readable {
		l.add(line, at, fmt.Sprintf("%s is not a kind of destination; write one of %s", quote(d.Kind), strings.Join(slices.Sorted(maps.Keys(l.kinds)), ", ")))
	}
}
