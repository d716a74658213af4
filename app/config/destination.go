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

	"eventserver/app/config/strict"
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
	hide  strict.Hider
	keys  []string   // the kind's keys
	shown *yaml.Node // their effective values, secrets hidden
	value any        // the struct that was decoded last

	warnings []*strict.Fault // of the kind's Warner
	missing  []*strict.Fault // what Checks.Partly left out
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
		l.Nodes = s.nodes
	}
	n := s.node
	if n == nil {
		n = &yaml.Node{Kind: yaml.MappingNode}
	}
	strict.SetDefaults(v)
	l.Keys(n, s.path, v, s.others, false)
	l.Validate(n, s.path, v)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.hide.AddAll(&l.Hide)
	s.keys, s.shown, s.missing = strict.KeysOf(strict.FieldsOf(v.Type())), strict.Shown(v), l.Missing
	s.value = v.Interface()
	s.warnings = l.Warnings
	for _, unknown := range l.Unread { // no kind is to take the text of the file for a value
		unknown.SetZero()
	}
	return strict.NewFaults(l.Faults, &l.Hide)
}

func commonKeys() []string { return strict.KeysOf(strict.FieldsOf(reflect.TypeFor[Destination]())) }

// byKind lets a kind check its keys.
func byKind(l *strict.Loader, s *Settings, check KindCheck) {
	err := check(s)
	l.Hide.AddAll(&s.hide)
	l.Missing = append(l.Missing, s.missing...)
	l.Warnings = append(l.Warnings, s.warnings...)
	l.Attribute(err, s.node, s.path, slices.Concat(s.others, s.keys))
}

// destination finishes the common keys and lets the kind check its own.
func (c Checks) destination(l *strict.Loader, n *yaml.Node, path string, d *Destination) {
	if d.RateLimit.Burst == 0 {
		d.RateLimit.Burst = int(math.Max(1, math.Min(math.Ceil(d.RateLimit.PerSecond), math.MaxInt32)))
	}
	s := &Settings{file: l.File, path: path, node: n, others: commonKeys(), common: *d, nodes: l.Nodes, checks: c}
	defer func() { s.nodes = nil }()
	d.Settings = s
	if c.Kinds == nil {
		return
	}
	common := s.others
	known := slices.Sorted(maps.Keys(c.Kinds))
	check, ok := c.Kinds[d.Kind]
	near := ""
	if line, at, readable := l.Find(n, path, []string{"kind"}); !ok && readable {
		cure := "write one of " + strings.Join(known, ", ")
		if near = textfile.Nearest(d.Kind, known, 2); near != "" {
			cure = fmt.Sprintf("did you mean %q?", near)
			check, ok = c.Kinds[near], true // so that its other faults are found, too
		}
		l.Add(line, at, fmt.Sprintf("%s is not a kind of destination; %s", strict.Quote(d.Kind), cure))
	}
	if ok {
		byKind(l, s, check)
		return
	}
	// Whose keys the others are is not known, but a slip in a common key is
	// still worth telling.
	for _, e := range l.Entries(n, path, 0) {
		if near := textfile.Nearest(e.Key, common, 1); near != "" && near != e.Key && !slices.Contains(common, e.Key) {
			l.Add(e.Line, strict.JoinPath(path, e.Key), strict.Unknown(e.Key, common))
		}
	}
}
