package record

import "eventserver/infra"

// EventsTopic holds every accepted event.
const EventsTopic = "events"

// DestinationTopic holds the payloads for one destination.
func DestinationTopic(id string) string { return "dest." + id }

// PoisonTopic holds the deliveries that one destination gave up.
func PoisonTopic(id string) string { return "poison." + id }

// TransformGroup reads events for one destination.
func TransformGroup(id string) string { return "transform." + id }

// DeliverGroup reads one destination's topic.
func DeliverGroup(id string) string { return "deliver." + id }

// Stages of a destination: labels of metrics and of the poison queue.
const (
	StageTransform = "transform"
	StageDeliver   = "deliver"
)

// Topics lists the topics of a destination, the shared one included.
func Topics(id string) []infra.Topic {
	return []infra.Topic{{Name: EventsTopic}, {Name: DestinationTopic(id)}, {Name: PoisonTopic(id), Keep: true}}
}
