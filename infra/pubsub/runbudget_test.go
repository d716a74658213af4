package pubsub

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
	"eventserver/infra/local"
)

// What handlers make of a run, and the records that it is written in, was held outside
// the budget until it was stored: some 100 MB with events of 0.9 MB.
func TestMadeIsCharged(t *testing.T) {
	const size = 100_000
	e := newEnv(t, Config{})
	b := e.Broker.(*broker)
	require.NoError(t, e.EnsureTopics(t.Context(), infra.Topic{Name: "made"}))
	r := e.reads(group, "")
	e.settles(r)
	outside := make(chan int64, 1)
	fault(&e.faults.append, func(batch infra.Batch) error {
		held := int64(0) // the messages that were made, and their records
		for _, rec := range batch.Records {
			if rec.Topic == "made" {
				held += int64(2 * sizeOf(rec))
			}
		}
		if held > 0 {
			outside <- held - b.budget.used.Load()
		}
		return nil
	})
	for _, acked := range []bool{true, false} {
		e.publish("u", 0, 1)
		msg, part := r.run()
		run := infra.RunOf(msg)
		made := newMessage("u", strings.Repeat("x", size))
		assert.False(t, run.Made(part, made))
		assert.GreaterOrEqual(t, b.budget.used.Load(), int64(size))
		if acked {
			require.NoError(t, run.Store([]infra.Output{{Part: part, Topic: "made", Message: made}}, part))
			assert.LessOrEqual(t, <-outside, int64(0))
			msg.Ack()
		} else {
			msg.Nack()
			again, _ := r.run()
			again.Ack()
		}
		e.done(group)
		assert.False(t, run.Made(part, made), "a handler that is left behind")
		e.eventually("nothing is held", func() bool { return b.budget.used.Load() == 0 })
	}
}

func TestMadeBeyondTheBudget(t *testing.T) {
	const size = 100_000
	e := newEnv(t, Config{Memory: size})
	r := e.reads(group, "")
	e.publish("u", 0, 1)
	msg, part := r.run()
	assert.True(t, infra.RunOf(msg).Made(part, newMessage("u", strings.Repeat("x", 2*size))), "it is to be stored first")
	msg.Ack()
	e.done(group)
}

// Each partition of each subscription had a part in flight, whatever the budget said.
func TestPartsTakeTurnsWhereMemoryIsShort(t *testing.T) {
	const partitions, each, size, memory = 8, 4, 40_000, 160_000 // the live end holds all of it
	for _, live := range []bool{true, false} {
		t.Run(fmt.Sprintf("live=%v", live), func(t *testing.T) {
			e := &env{T: t, Broker: on(t, local.Config{Partitions: partitions}, Config{Memory: memory}), log: &lines{}}
			b := e.Broker.(*broker)
			require.NoError(t, e.EnsureTopics(t.Context(), infra.Topic{Name: topic}))
			publish := func() {
				for n := range partitions * each {
					require.NoError(t, e.Publisher(infra.Durable).Publish(topic, newMessage(fmt.Sprint(n), strings.Repeat("x", size))))
				}
			}
			if !live {
				publish()
			}
			s, err := e.Subscriber(group, infra.SubscriberConfig{Runs: infra.Runs{Messages: 8, Bytes: 1 << 20}})
			require.NoError(t, err)
			in, err := s.Subscribe(context.Background(), topic)
			require.NoError(t, err)
			if live {
				e.eventually("it is at the live end", func() bool {
					at := 0
					for _, c := range s.(*subscriber).subscriptions()[0].owned() {
						c.mu.Lock()
						if c.follower.phase == phaseLive {
							at++
						}
						c.mu.Unlock()
					}
					return at == partitions
				})
				publish()
			}
			got := 0
			for got < partitions*each {
				m := e.receive(in)
				for _, p := range infra.RunOf(m).Parts {
					got += len(p.Messages)
				}
				if live { // one after the other: those that read for themselves may exceed it side by side
					assert.LessOrEqual(t, b.budget.used.Load(), int64(memory))
				}
				m.Ack()
			}
			assert.Equal(t, partitions*each, got)
		})
	}
}
