package config

import (
	"eventserver/app/config/strict"
	"reflect"

	"go.yaml.in/yaml/v4"
)

var brokerType = reflect.TypeFor[Broker]()

// broker lets a kind that is not built in check its own keys. The others have none.
func (c Checks) broker(l *strict.Loader, n *yaml.Node, path string, b *Broker) {
	common := strict.KeysOf(strict.FieldsOf(brokerType))
	if check := c.Brokers[b.Kind]; check != nil {
		b.Settings = &Settings{file: l.File, path: path, node: n, others: common, nodes: l.Nodes, checks: c}
		defer func() { b.Settings.nodes = nil }()
		byKind(l, b.Settings, check)
		return
	}
	known := map[string]bool{}
	for _, name := range common {
		known[name] = true
	}
	for _, e := range l.Entries(n, path, 0) {
		if !known[e.Key] {
			l.Add(e.Line, strict.JoinPath(path, e.Key), strict.Unknown(e.Key, common))
		}
	}
}
