// Package stock is watermill-kafka's own subscriber, for `ordering: partition`. It uses
// sarama, with one client and one member of a group per subscription. It replaces the
// Subscriber of a broker on Kafka, and nothing else.
//
// It may import infra, infra/kafka, Watermill, watermill-kafka and sarama, and it is
// the only package of infra that imports the last two.
package stock
