package infra_test

import (
	"context"
	"fmt"
	"log"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/infra/local"
	"eventserver/infra/pubsub"
)

// A broker is a log with infra/pubsub above it. Here the log is the one in memory.
func Example() {
	records, err := local.Open(local.Config{Partitions: 1})
	if err != nil {
		log.Fatal(err)
	}
	var broker infra.Broker
	if broker, err = pubsub.New(records, pubsub.Config{}); err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	if err := broker.EnsureTopics(ctx, infra.Topic{Name: "orders"}); err != nil {
		log.Fatal(err)
	}
	subscriber, err := broker.Subscriber("billing", infra.SubscriberConfig{})
	if err != nil {
		log.Fatal(err)
	}
	messages, err := subscriber.Subscribe(ctx, "orders")
	if err != nil {
		log.Fatal(err)
	}
	for _, payload := range []string{"one", "two"} {
		m := message.NewMessage(payload, []byte(payload))
		m.Metadata.Set(infra.MetaKey, "user-7") // messages of one key are in order
		if err := broker.Publisher(infra.Durable).Publish("orders", m); err != nil {
			log.Fatal(err)
		}
	}
	for range 2 {
		m := <-messages
		fmt.Println(m.Metadata.Get(infra.MetaKey), string(m.Payload), "at offset", infra.Offset(m))
		m.Ack()
	}
	stop()
	if err := subscriber.Close(); err != nil {
		log.Fatal(err)
	}
	if err := broker.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// user-7 one at offset 0
	// user-7 two at offset 1
}
