// Package metrics holds every metric name of event-server, on a registerer
// that the app injects. It is a leaf: it imports the Prometheus client, Watermill's
// messages and the standard library, and nothing of this module. Labels come from
// bounded sets (destination ids, topics, small enums), never from an event.
package metrics
