package brokertest

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

func (e *env) twoGroups() {
	_, a := e.subscribe("a")
	_, b := e.subscribe("b")
	e.publish("u", 0, 10)
	e.only(a, numbers(0, 10)...)
	assert.Equal(e, append(numbers(0, 10), "1000000"), payloads(e.take(b, 11))) // a's check published one
}

func (e *env) oldMessages() {
	_, a := e.subscribe("a")
	e.publish("u", 0, 10)
	for _, m := range e.take(a, 10) {
		m.Ack()
	}
	e.eventually("lag of a is 0", func() bool { return e.lagOf("a") == 0 })
	_, b := e.subscribe("b")
	e.only(b, numbers(0, 10)...)
}

// takeOver: two members share, and when one leaves, the other gets all. Nothing
// is delivered twice.
func (e *env) takeOver() {
	first, a := e.subscribe(group)
	second, b := e.subscribe(group)
	e.eventually("both joined", func() bool {
		return first.Assigned() && second.Assigned()
	})
	counts := map[string]int{}
	from := map[string]int{}
	note := func(who string, m *message.Message) {
		counts[string(m.Payload)]++
		from[who]++
		m.Ack()
	}
	// Partitions may move while the second joins, so send until both have some.
	next := 0
	for from["a"] == 0 || from["b"] == 0 {
		e.publish("", next, 20)
		next += 20
		for len(counts) < next {
			select {
			case m := <-a:
				note("a", m)
			case m := <-b:
				note("b", m)
			case <-time.After(e.opts.Timeout):
				require.FailNow(e, "not all delivered", "%d of %d", len(counts), next)
			}
		}
	}
	assigned := func(s infra.Subscriber) int { return s.Stats().Partitions }
	e.eventually("each partition is assigned once", func() bool {
		return assigned(first) > 0 && assigned(second) > 0 && assigned(first)+assigned(second) == e.opts.Partitions
	})
	e.within("Close", first.Close)
	assert.Zero(e, assigned(first), "partitions of a subscriber that is closed")
	for _, m := range e.ended(a) {
		require.FailNow(e, "handed out while closing", "%s", m.Payload)
	}
	e.publish("", next, 50)
	for len(counts) < next+50 {
		note("b", e.receive(b))
	}
	e.eventually("the other has every partition", func() bool { return assigned(second) == e.opts.Partitions })
	for payload, n := range counts {
		assert.Equal(e, 1, n, "message %s", payload)
	}
}

// rebalance: a member joins while another has messages in flight. Messages of moved
// partitions are cancelled. Finished messages are not repeated, although messages below
// them are unfinished.
func (e *env) rebalance() {
	const keys, each = 10, 3
	for k := range keys {
		e.publish(fmt.Sprint("user-", k), k*each, each)
	}
	_, a := e.subscribe(group)
	held := map[string]*message.Message{}
	acked := map[string]bool{}
	for _, m := range e.take(a, keys*each) {
		if n, _ := strconv.Atoi(string(m.Payload)); n%each == 0 { // the first of each key is stuck
			held[string(m.Payload)] = m
			continue
		}
		acked[string(m.Payload)] = true
		m.Ack()
	}
	_, b := e.subscribe(group)
	var handlers sync.WaitGroup
	defer handlers.Wait()
	ctx, stop := context.WithCancel(e.Context())
	defer stop()
	for _, m := range held { // well behaved: they return when their context ends
		handlers.Go(func() {
			select {
			case <-m.Context().Done():
				m.Nack()
			case <-ctx.Done():
			}
		})
	}
	// Some brokers take all partitions back in a rebalance, some only those
	// that move. What was cancelled comes again, at a or at b.
	fromB := 0
	deadline := time.After(e.opts.Timeout)
	for fromB == 0 || e.lagOf(group) > 0 {
		var m *message.Message
		select {
		case m = <-a:
		case m = <-b:
			if fromB++; fromB == 1 {
				for _, h := range held { // what stayed at a is done in the end
					if h.Context().Err() == nil {
						h.Ack()
					}
				}
			}
		case <-time.After(20 * time.Millisecond): // look at the lag again
			continue
		case <-deadline:
			require.FailNow(e, "not all done", "%d messages at the second member, lag %d", fromB, e.lagOf(group))
		}
		payload := string(m.Payload)
		require.False(e, acked[payload], "message %s was done and came again", payload)
		require.Error(e, held[payload].Context().Err(), "message %s has two owners", payload)
		m.Ack()
	}
}
