// Package byhand is the program that event-server is compared with: the least
// that keeps the same promises. It accepts events with net/http, stores them before
// it answers 202 (in Pebble with group commit, or on Kafka with acks=all), has a
// queue for each user and destination, and posts with net/http. Events are durable,
// arrive at least once and in order for each user, and what is stored goes on after
// a restart.
//
// It has no framework, filters, transforms, schemas, limits, breaker, metrics or
// poison queue. What fails is posted again after a second, for ever, and all that
// waits is in memory. On Kafka each destination reads the events in a group of its own, and
// it is one process: it shares its groups with nobody.
//
//	byhand.go   Config, Run and the order of the stop
//	ingest.go   HTTP in              deliver.go   queues, HTTP out
//	pebble.go   events in Pebble     kafka.go     events on Kafka
//	window.go   what is done
//
// It may import Pebble, franz-go and the standard library, and nothing of
// event-server.
package byhand
