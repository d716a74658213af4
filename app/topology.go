package app

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"eventserver/app/config"
	"eventserver/app/textfile"
	"eventserver/router/control"
	"eventserver/router/record"
)

// Topology is what a configuration makes, for programs. No secret is in it.
type Topology struct {
	Addr         string                `json:"addr"`
	Broker       string                `json:"broker"`
	Partitions   int                   `json:"partitions"`
	Ordering     string                `json:"ordering"`
	EventsTopic  string                `json:"events_topic"`
	Destinations []TopologyDestination `json:"destinations"`
}

// TopologyDestination is one destination with its topics and groups.
type TopologyDestination struct {
	ID             string   `json:"id"`
	Kind           string   `json:"kind"`
	Types          []string `json:"types"` // empty: every type
	TransformGroup string   `json:"transform_group"`
	Topic          string   `json:"topic"`
	DeliverGroup   string   `json:"deliver_group"`
	PoisonTopic    string   `json:"poison_topic"`
}

// TopologyOf is the topology of a configuration, by the real names on the broker.
func TopologyOf(cfg *config.Config) Topology {
	b := cfg.Broker
	t := Topology{Addr: cfg.HTTP.Addr, Broker: b.Kind, Partitions: int(b.Partitions), Ordering: cfg.Ordering,
		EventsTopic: topicName(cfg, record.EventsTopic), Destinations: []TopologyDestination{}}
	for _, d := range cfg.Destinations {
		t.Destinations = append(t.Destinations, TopologyDestination{ID: d.ID, Kind: d.Kind, Types: append([]string{}, d.Types...),
			TransformGroup: groupName(cfg, record.TransformGroup(d.ID)), Topic: topicName(cfg, record.DestinationTopic(d.ID)),
			DeliverGroup: groupName(cfg, record.DeliverGroup(d.ID)), PoisonTopic: topicName(cfg, record.PoisonTopic(d.ID))})
	}
	return t
}

// topicName is the real name of a topic on the broker.
func topicName(cfg *config.Config, name string) string {
	if cfg.Broker.Kind != "kafka" { // nobody shares it
		return name
	}
	if real, ok := cfg.Broker.Topics[name]; ok {
		name = real
	}
	return cfg.Broker.TopicPrefix + name
}

// groupName is the real name of a consumer group on the broker.
func groupName(cfg *config.Config, name string) string {
	if cfg.Broker.Kind != "kafka" {
		return name
	}
	return cfg.Broker.TopicPrefix + name
}

// unknownTopics finds names in broker.topics that no topic of ours has. Those of
// any destination are known: what was removed keeps its topics until forgotten.
func unknownTopics(cfg *config.Config) error {
	known := []string{record.EventsTopic, control.Topic}
	for _, d := range cfg.Destinations {
		known = append(known, record.DestinationTopic(d.ID), record.PoisonTopic(d.ID))
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Broker.Topics)) {
		if name == record.EventsTopic || name == control.Topic || destinationOf(name) != "" {
			continue
		}
		cure := fmt.Sprintf("write one of %s, %s, %s, %s", record.EventsTopic, control.Topic, record.DestinationTopic("ID"), record.PoisonTopic("ID"))
		if near := textfile.Nearest(name, known, 2); near != "" {
			cure = fmt.Sprintf("did you mean %q?", near)
		}
		errs = append(errs, fmt.Errorf("broker.topics[%q]: the server has no topic of this name; %s", name, cure))
	}
	return errors.Join(errs...)
}

// misspeltTopics finds names in broker.topics of a destination that is not in
// the configuration, where another one's is nearly the same.
func misspeltTopics(cfg *config.Config) error {
	var free []string // without an entry
	ids := map[string]bool{}
	for _, d := range cfg.Destinations {
		ids[d.ID] = true
		for _, name := range []string{record.DestinationTopic(d.ID), record.PoisonTopic(d.ID)} {
			if _, given := cfg.Broker.Topics[name]; !given {
				free = append(free, name)
			}
		}
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Broker.Topics)) {
		id := destinationOf(name)
		if near := textfile.Nearest(name, free, 2); id != "" && !ids[id] && near != "" {
			errs = append(errs, fmt.Errorf("broker.topics[%q]: there is no destination %q; did you mean %q?", name, id, near))
		}
	}
	return errors.Join(errs...)
}

// destinationOf is the id in the name of a destination's topic, or "".
func destinationOf(topic string) string {
	for _, prefix := range []string{record.DestinationTopic(""), record.PoisonTopic("")} {
		if id, ok := strings.CutPrefix(topic, prefix); ok {
			return id
		}
	}
	return ""
}
