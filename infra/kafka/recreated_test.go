package kafka

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// A destination was forgotten and configured again: the client numbered the records of
// the new topic after those of the old one, each publish was refused once, and three of
// them in a row were taken for a broker that stores nothing.
func TestPublishToARecreatedTopic(t *testing.T) {
	b := open(t, testConfig(cluster(t).ListenAddrs()...))
	const topic = "dest.d"
	ensure(t, b, topic)
	publish := func(n int) {
		t.Helper()
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				id := fmt.Sprint(i)
				m, other := message.NewMessage(id, []byte("{}")), message.NewMessage(id+"b", []byte("{}"))
				if err := b.Publisher(infra.Durable).Publish(topic, m); err != nil {
					t.Error(err)
				}
				// That a part of them is refused says nothing of the broker, and the caller sends it again.
				if err := b.Publisher(infra.Durable).Publish(topic, m, other); err != nil && !errors.As(err, new(*infra.PublishError)) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	for range 3 {
		publish(100)
		if err := b.DeleteTopics(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
		ensure(t, b, topic)
	}
	publish(2)
}
