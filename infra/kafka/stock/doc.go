// Package stock is watermill-kafka's own subscriber as `ordering: partition` uses it:
// on sarama, one client and one member of a group for each subscription. It gives a
// broker on Kafka another Subscriber and nothing else.
//
// It may import infra, infra/kafka, Watermill, watermill-kafka and sarama, and it is
// the only package of infra that imports the last two.
package stock
