package config

import (
	"eventserver/app/config/strict"
	"fmt"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v4"
)

// Redacted is the effective configuration as YAML, for the log and for
// support: with all defaults, and with every secret hidden. URLs lose their
// password and query, and header-like maps the values that authenticate.
func (c *Config) Redacted() string {
	root := strict.Shown(reflect.ValueOf(c).Elem())
	out, err := yaml.Dump(root)
	if err != nil {
		return fmt.Sprintf("# the configuration cannot be shown: %v\n", err)
	}
	return string(out)
}

// Others are the keys of the destination's kind, as they may be shown.
func (d Destination) Others() *yaml.Node { return d.Settings.redacted() }

// Others are the keys of a kind of broker that is not built in, as they may be shown.
func (b Broker) Others() *yaml.Node { return b.Settings.redacted() }

// settingsOf are the keys of a kind beside those of v; nil where there are none.
func settingsOf(v reflect.Value) *Settings {
	switch of := v.Interface().(type) {
	case Destination:
		return of.Settings
	case Broker:
		return of.Settings
	}
	return nil
}

// redacted are the kind's keys. Before the kind has decoded them nobody knows
// which are secret, so all are hidden. nil has none.
func (s *Settings) redacted() *yaml.Node {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown != nil {
		return s.shown
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	if s.node == nil {
		return n
	}
	common := s.others
	l := strict.New(s.file, strict.Options{}, strict.Hooks{})
	for _, e := range l.Entries(s.node, s.path, 0) {
		if !slices.Contains(common, e.Key) {
			n.Content = append(n.Content, strict.Text(e.Key), strict.Text("[hidden]"))
		}
	}
	return n
}
