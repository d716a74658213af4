package brokertest

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

func (e *env) ping() {
	require.NoError(e, e.broker.Ping(e.Context()))
	ended, cancel := context.WithCancel(e.Context())
	cancel()
	require.Error(e, e.broker.Ping(ended))
	_, err := infra.LagOf(ended, e.broker, group, topic)
	require.Error(e, err)
	require.NoError(e, e.broker.Close())
	require.Error(e, e.broker.Ping(e.Context()))
}

func (e *env) closeCancels() {
	e.publish("u", 0, 4)
	s, in := e.subscribe(group)
	msgs := e.take(in, 3)
	msgs[0].Ack()
	closed := make(chan struct{})
	go func() { defer close(closed); _ = s.Close() }()
	e.cancelled(msgs[1])
	e.cancelled(msgs[2])
	select {
	case <-closed:
		require.FailNow(e, "Close did not wait for the handlers")
	default:
	}
	msgs[1].Nack()
	msgs[2].Ack() // done in time: it counts
	e.within("Close", func() error { <-closed; return nil })
	assert.Empty(e, e.ended(in))
	_, in = e.subscribe(group)
	e.only(in, "1", "3")
}

func (e *env) closeAnyTime() {
	unused := e.subscriber(group)
	assert.False(e, unused.Assigned())
	require.NoError(e, unused.Close())
	require.NoError(e, unused.Close())
	_, err := unused.Subscribe(context.Background(), topic)
	require.Error(e, err)

	s, in := e.subscribe(group)
	e.within("Close right after Subscribe", s.Close)
	assert.Empty(e, e.ended(in))

	// Blocked: a message is offered and nobody takes it, another is held by a
	// handler that ignores its context. Close gives up on it after a while.
	e.publish("u", 0, 3)
	s, in = e.subscribe(group)
	held := e.receive(in)
	done := make(chan error, 3)
	for range 3 {
		go func() { done <- s.Close() }()
	}
	for range 3 {
		e.within("Close while blocked", func() error { return <-done })
	}
	e.ended(in)
	held.Ack() // too late: the partition may have a new owner
	s, in = e.subscribe(group)
	for _, m := range e.take(in, 3) {
		m.Ack()
	}
	_ = s
	e.within("broker Close", e.broker.Close) // closes the subscriber as well
	e.ended(in)
	require.NoError(e, e.broker.Close())
}

// subscribeContext: the context of Subscribe ends the subscription, and its
// values reach the messages.
func (e *env) subscribeContext() {
	type key struct{}
	e.publish("u", 0, 3)
	s := e.subscriber(group)
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "v"))
	defer cancel()
	in, err := s.Subscribe(ctx, topic)
	require.NoError(e, err)
	m := e.receive(in)
	assert.Equal(e, "v", m.Context().Value(key{}))
	m.Ack()
	cancel()
	e.ended(in)
	in, err = s.Subscribe(context.Background(), topic)
	require.NoError(e, err)
	e.only(in, "1", "2")
}

// ackCancels: Watermill's contract ends a message's context with its Ack.
func (e *env) ackCancels() {
	e.publish("u", 0, 2)
	_, in := e.subscribe(group)
	msgs := e.take(in, 2)
	msgs[0].Ack()
	e.cancelled(msgs[0])
	assert.NoError(e, msgs[1].Context().Err())
	msgs[1].Nack()
	e.cancelled(msgs[1])
}

func (e *env) drain() {
	e.publish("u", 0, 10)
	s, in := e.subscribe(group)
	msgs := e.take(in, 4) // the fifth is offered and not taken
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(context.Background()) }()
	short, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(e, s.Drain(short), context.DeadlineExceeded, "four are in flight")
	e.quiet(in)
	assert.NoError(e, msgs[0].Context().Err(), "a drain cancels nothing")
	msgs[0].Ack()
	msgs[1].Nack()
	msgs[2].Ack()
	select {
	case err := <-drained:
		require.FailNow(e, "drained with a message in flight", "%v", err)
	default:
	}
	msgs[3].Ack()
	e.within("Drain", func() error { return <-drained })
	e.publish("u", 10, 1)
	e.quiet(in) // neither the nacked one nor new ones
	e.within("second Drain", func() error { return s.Drain(context.Background()) })
	e.closeWithHandlers(s, in)
	_, in = e.subscribe(group)
	e.only(in, append([]string{"1"}, numbers(4, 7)...)...)
}

// reopen: stored messages and progress outlive the broker.
func (e *env) reopen() {
	if e.opts.Reopen == nil {
		e.Skip("this broker keeps nothing")
	}
	n := e.opts.Window
	kept := infra.Topic{Name: "poison.webhook", Keep: true}
	require.NoError(e, e.broker.EnsureTopics(e.Context(), kept))
	require.NoError(e, e.broker.Publisher(infra.Durable).Publish(kept.Name, newMessage("u", "poison")))
	e.publish("u", 0, n)
	_, in := e.subscribe(group)
	var held []*message.Message
	for i, m := range e.take(in, n) {
		if i%4 == 0 {
			held = append(held, m)
			continue
		}
		m.Ack()
	}
	closed := make(chan struct{})
	old := e.broker
	go func() { // handlers that return when they are told
		defer close(closed)
		for _, m := range held {
			<-m.Context().Done()
			m.Nack()
		}
	}()
	e.broker = e.opts.Reopen(e.T, old)
	<-closed
	require.NoError(e, e.broker.EnsureTopics(e.Context(), infra.Topic{Name: topic}, kept))
	assert.EqualValues(e, len(held), e.lagOf(group))
	_, in = e.subscribe(group)
	e.only(in, payloads(held)...)
	s := e.subscriber("reader")
	poison, err := s.Subscribe(context.Background(), kept.Name)
	require.NoError(e, err)
	assert.Equal(e, "poison", string(e.receive(poison).Payload))
}
