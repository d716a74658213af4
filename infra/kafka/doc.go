// Package kafka is the broker on Apache Kafka, or on what speaks its protocol.
// It stands on the sarama client and on watermill-kafka's
// marshaler, and replaces watermill-kafka's publisher (one round trip a
// message, a close that can panic) and subscriber (one message in flight a
// partition, ThreeDotsLabs/watermill#374) with its own.
//
// It may import infra, Watermill and sarama. It knows nothing of events.
package kafka
