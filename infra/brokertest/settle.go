package brokertest

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// manyUnacked: Watermill's Kafka subscriber hands out one message a partition.
func (e *env) manyUnacked() {
	n := e.opts.Window
	e.publish("u", 0, n)
	_, in := e.subscribe(group)
	msgs := e.take(in, n)
	assert.Equal(e, numbers(0, n), payloads(msgs))
	for i, m := range msgs {
		assert.EqualValues(e, i, infra.Offset(m))
		assert.NoError(e, m.Context().Err())
	}
}

func (e *env) window() {
	n := e.opts.Window
	e.publish("u", 0, n+10)
	_, in := e.subscribe(group)
	msgs := e.take(in, n)
	e.quiet(in)
	for _, i := range []int{n - 1, 0, n / 2} { // in any order
		msgs[i].Ack()
		e.receive(in)
	}
	e.quiet(in)
}

// bound: a subscriber at its bound reads no more, and continues when it is below.
func (e *env) bound() {
	total, most := e.opts.Window, e.opts.Window/2
	e.publish("u", 0, total)
	s := e.subscriber(group)
	s.Bound(most)
	in, err := s.Subscribe(e.Context(), topic)
	require.NoError(e, err)
	msgs := e.take(in, most)
	e.quiet(in)
	msgs[0].Ack()
	msgs = append(msgs, e.receive(in))
	e.quiet(in)
	s.Bound(0)
	msgs = append(msgs, e.take(in, total-most-1)...)
	assert.Equal(e, numbers(0, total), payloads(msgs))
}

// windowTurnover: a window with a wrong count, by one per nack or skipped message, would
// close for ever sooner or later.
func (e *env) windowTurnover() {
	total := 10 * e.opts.Window
	e.publish("u", 0, total)
	_, in := e.subscribe(group)
	nacked := map[string]bool{}
	done := map[string]bool{}
	for len(done) < total {
		m := e.receive(in)
		id := string(m.Payload)
		if infra.Offset(m)%5 == 0 && !nacked[id] {
			nacked[id] = true
			m.Nack()
			continue
		}
		require.False(e, done[id], "message %s twice", id)
		done[id] = true
		m.Ack()
	}
}

func (e *env) nack() {
	e.publish("u", 0, 5)
	_, in := e.subscribe(group)
	msgs := e.take(in, 5)
	bad := msgs[1]
	uuid := bad.UUID
	for range 3 {
		bad.Metadata.Set("left by a middleware", "1")
		before := time.Now()
		require.True(e, bad.Nack())
		e.publish("u", 5, 1) // others flow
		var others int
		for again := false; !again || others == 0; {
			m := e.receive(in)
			if m.UUID != uuid {
				others++
				m.Ack()
				continue
			}
			again = true
			bad = m
			assert.GreaterOrEqual(e, time.Since(before), 50*time.Millisecond, "after a pause")
			assert.EqualValues(e, 1, infra.Offset(m))
			assert.Equal(e, "1", string(m.Payload))
			assert.Equal(e, "u", m.Metadata.Get(infra.MetaKey))
			assert.NotContains(e, m.Metadata, "left by a middleware", "as it was stored")
			assert.NoError(e, m.Context().Err())
		}
	}
	bad.Ack()
	for _, i := range []int{0, 2, 3, 4} {
		msgs[i].Ack()
	}
	e.only(in)
}

// receipts: only Settle settles a message, not its own Ack and Nack.
func (e *env) receipts() {
	e.publish("u", 0, 3)
	s := e.subscriberWith(group, infra.SubscriberConfig{Receipts: true})
	in, err := s.Subscribe(context.Background(), topic)
	require.NoError(e, err)
	msgs := e.take(in, 3)
	for _, m := range msgs {
		require.True(e, infra.HasReceipt(m))
	}
	require.True(e, msgs[0].Nack())
	infra.Settle(msgs[0], true)
	infra.Settle(msgs[1], true)
	e.eventually("two are done", func() bool { return e.lagOf(group) == 1 })
	infra.Settle(msgs[2], false)
	again := e.receive(in)
	assert.Equal(e, msgs[2].UUID, again.UUID)
	infra.Settle(again, true)
	e.eventually("all is done", func() bool { return e.lagOf(group) == 0 })
	e.publish("u", 3, 1)
	held := e.receive(in)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	e.cancelled(held)
	infra.Settle(held, false)
	e.within("Close", func() error { return <-closed })
	_, in = e.subscribe(group)
	e.only(in, "3")
}

// exactCommit: all but the first message are done. A restart repeats only the first.
func (e *env) exactCommit() {
	n := e.opts.Window
	e.publish("u", 0, n)
	s, in := e.subscribe(group)
	msgs := e.take(in, n)
	for _, m := range msgs[1:] {
		m.Ack()
	}
	e.closeWithHandlers(s, in, msgs[0])
	_, in = e.subscribe(group)
	e.only(in, "0")
}

func (e *env) exactCommitScattered() {
	n := e.opts.Window
	e.publish("u", 0, n)
	s, in := e.subscribe(group)
	var held []*message.Message
	for i, m := range e.take(in, n) {
		if i%3 == 1 {
			held = append(held, m)
			continue
		}
		m.Ack()
	}
	e.closeWithHandlers(s, in, held...)
	_, in = e.subscribe(group)
	e.only(in, payloads(held)...)
}

// exactCommitTwice: the second owner stops in the middle of what the first had done, so its
// commit must include the rest of that.
func (e *env) exactCommitTwice() {
	n := e.opts.Window
	e.publish("u", 0, n)
	s, in := e.subscribe(group)
	msgs := e.take(in, n)
	for i, m := range msgs {
		if i != 0 && i != n/2 {
			m.Ack()
		}
	}
	e.closeWithHandlers(s, in, msgs[0], msgs[n/2])
	for range 3 {
		s, in = e.subscribe(group)
		m := e.receive(in)
		assert.Equal(e, "0", string(m.Payload))
		e.closeWithHandlers(s, in, m)
	}
	s, in = e.subscribe(group)
	e.receive(in).Ack()
	e.closeWithHandlers(s, in)
	s, in = e.subscribe(group)
	e.only(in, numbers(n/2, 1)...)
	e.closeWithHandlers(s, in)
	_, in = e.subscribe(group)
	e.publish("u", 7, 1)
	assert.Equal(e, "7", string(e.receive(in).Payload))
}

// commitWhileBlocked: a receiver that takes no more must not hold up the commit of finished
// messages; a crash would repeat them.
func (e *env) commitWhileBlocked() {
	e.publish("u", 0, 5)
	_, in := e.subscribe(group)
	msgs := e.take(in, 2) // the third is offered and not taken
	msgs[0].Ack()
	msgs[1].Ack()
	e.eventually("lag of 3", func() bool { return e.lagOf(group) == 3 })
}

func (e *env) lag() {
	assert.EqualValues(e, 0, e.lagOf(group))
	e.publish("u", 0, 10)
	e.publish("v", 10, 5)
	assert.EqualValues(e, 15, e.lagOf(group), "a group that never came has it all to do")
	_, in := e.subscribe(group)
	msgs := map[string]*message.Message{}
	for _, m := range e.take(in, 15) {
		msgs[string(m.Payload)] = m
	}
	ack := func(want int64, ids ...string) {
		for _, id := range ids {
			msgs[id].Ack()
		}
		e.eventually("lag", func() bool { return e.lagOf(group) == want })
	}
	ack(12, "3", "4", "7") // done above the watermark counts as done
	ack(11, "0")
	ack(9, "10", "14")
	ack(2, "1", "2", "5", "6", "8", "9", "11")
	ack(0, "12", "13")
	e.publish("u", 15, 2)
	assert.EqualValues(e, 2, e.lagOf(group))
	assert.EqualValues(e, 17, e.lagOf("other"))
}

// closeWithHandlers closes s while well-behaved handlers hold some messages:
// each gives its message back when the context ends.
func (e *env) closeWithHandlers(s message.Subscriber, in <-chan *message.Message, held ...*message.Message) {
	e.Helper()
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	for _, m := range held {
		e.cancelled(m)
		m.Nack()
	}
	e.within("Close", func() error { return <-closed })
	for _, m := range e.ended(in) {
		require.FailNow(e, "handed out while closing", "%s", m.Payload)
	}
}

// cancelled waits for the end of a message's context.
func (e *env) cancelled(m *message.Message) {
	e.Helper()
	select {
	case <-m.Context().Done():
	case <-time.After(e.opts.Timeout):
		require.FailNow(e, "the context did not end", "message %s", m.Payload)
	}
}
