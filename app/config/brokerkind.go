package config

import (
	"reflect"

	"go.yaml.in/yaml/v4"
)

var brokerType = reflect.TypeFor[Broker]()

// broker lets a kind that is not built in check its own keys. The others have none.
func (c Checks) broker(l *loader, n *yaml.Node, path string, b *Broker) {
	common := keysOf(fieldsOf(brokerType))
	if check := c.Brokers[b.Kind]; check != nil {
		b.Settings = &Settings{file: l.file, path: path, node: n, others: common, nodes: l.nodes, checks: c}
		defer func() { b.Settings.nodes = nil }()
		byKind(l, b.Settings, check)
		return
	}
	known := map[string]bool{}
	for _, name := range common {
		known[name] = true
	}
	for _, e := range l.entries(n, path, 0) {
		if !known[e.key] {
			l.add(e.line, joinPath(path, e.key), unknown(e.key, common))
		}
	}
}
