// Package kafka sends deliveries to a topic of any Kafka cluster, which need
// not be the one that the server itself runs on.
//
// # Records
//
// The key is the delivery's ordering key, placed as the Java client places it
// (murmur2), so one key is in one partition, in order, as long as the topic's
// partition count stays. The value is the body. Headers follow the Kafka
// binding of CloudEvents, with ours beside them. A payload without bytes, and the
// JSON value null, is a null value (a tombstone):
//
//	ce_id, ce_type, ce_time, content-type
//	ce_specversion, ce_source        where the event has a source
//	es_delivery_id                   the same at every attempt: deduplicate by it
//	es_attempt, es_sequence, es_redrives (when it was redriven)
//
// Headers of the payload become record headers, unless they have one of these names.
//
// # Promises
//
// Deliver returns nil when all in-sync replicas have the record (acks=all,
// idempotent). What is on its way to the cluster cannot be taken back: when an
// attempt's context ends, its record may still land, and land again with the next
// attempt. It is then the same event twice in a row, never out of order, because the
// next attempt of a key waits for the send before it.
//
// The cluster is dialled at the first delivery: one that is away does not stop
// the server, it makes deliveries fail as Unavailable. The topic has to exist.
//
// Records of concurrent deliveries travel in batches, and a cluster refuses a
// batch as a whole. A record that was refused in company is sent once more alone,
// at once; only the answer to that is final, or spends an attempt.
//
// max_message_bytes should not be above the topic's max.message.bytes: batches
// have at most that size, and those that the topic refuses are sent twice.
//
// It may import destinations and Kafka's client library (franz-go), but not infra: how
// the server stores events and where it delivers them are chosen apart.
package kafka
