package kafka

import (
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
	"eventserver/infra/pubsub"
)

// A full window is seen in the metrics, and so is its end. Meanwhile the member stays
// in its group. What is logged of it is infra/pubsub's, and tested there.
func TestFullWindowIsVisible(t *testing.T) {
	t.Parallel()
	cfg := testConfig(cluster(t).ListenAddrs()...)
	cfg.Partitions, cfg.SessionTimeout = 2, 500*time.Millisecond
	b := on(t, cfg, pubsub.Config{WindowMessages: 5, WindowKey: 5})
	ensure(t, b, topic)
	for k := range 100 {
		publish(t, b, fmt.Sprint("k", k), k, 1)
	}
	s, in := subscribe(t, b)
	stats := func() infra.Stats { return s.Stats() }
	var held []*message.Message
	for range 10 { // five of each partition
		held = append(held, receive(t, in))
	}
	require.Eventually(t, func() bool { return stats().Window == 1 }, timeout, 5*time.Millisecond)
	<-time.After(3 * cfg.SessionTimeout) // it would be thrown out by now if the stall stopped the heartbeats
	assert.NoError(t, held[0].Context().Err(), "the claim goes on")
	for done := 0; done < 100; {
		for _, m := range held {
			m.Ack()
			done++
		}
		held = held[:0]
		if done < 100 {
			held = append(held, receive(t, in))
		}
	}
	require.Eventually(t, func() bool { return stats().Window == 0 }, timeout, 5*time.Millisecond)
	require.NoError(t, s.Close())
}

// What a cluster's retention deletes while it is deferred is told as lost, and
// the rest is delivered: nothing waits for ever for records that are gone.
func TestDeferredRecordsThatAreDeleted(t *testing.T) {
	t.Parallel()
	cfg := testConfig(cluster(t).ListenAddrs()...)
	cfg.Partitions = 1
	l := openLog(t, cfg)
	b, err := pubsub.New(l, pubsub.Config{WindowMessages: 100, WindowKey: 4})
	require.NoError(t, err)
	ensure(t, b, topic)
	publish(t, b, "busy", 0, 50)
	publish(t, b, "other", 50, 1)
	s, in := subscribe(t, b)
	var held []*message.Message
	for range 5 { // four of the busy one, and the other
		held = append(held, receive(t, in))
	}
	require.NoError(t, l.Trim(t.Context(), topic, map[int32]int64{0: 30}))
	for _, m := range held {
		m.Ack()
	}
	seen := map[string]bool{}
	for len(seen) < 20 { // 30 to 49
		m := receive(t, in)
		seen[string(m.Payload)] = true
		m.Ack()
	}
	assert.True(t, seen["30"] && seen["49"], "%v", seen)
	require.Eventually(t, func() bool { n, err := infra.LagOf(t.Context(), b, group, topic); return err == nil && n == 0 }, timeout, 10*time.Millisecond)
	require.NoError(t, s.Close())
}
