package app

import (
	"eventserver/app/config"
	"eventserver/router"
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
		EventsTopic: topicName(cfg, router.EventsTopic), Destinations: []TopologyDestination{}}
	for _, d := range cfg.Destinations {
		t.Destinations = append(t.Destinations, TopologyDestination{ID: d.ID, Kind: d.Kind, Types: append([]string{}, d.Types...),
			TransformGroup: b.TopicPrefix + router.TransformGroup(d.ID), Topic: topicName(cfg, router.DestinationTopic(d.ID)),
			DeliverGroup: b.TopicPrefix + router.DeliverGroup(d.ID), PoisonTopic: topicName(cfg, router.PoisonTopic(d.ID))})
	}
	return t
}

// topicName is the real name of a topic on the broker.
func topicName(cfg *config.Config, name string) string {
	if real, ok := cfg.Broker.Topics[name]; ok {
		name = real
	}
	return cfg.Broker.TopicPrefix + name
}
