package brokertest

import (
	"context"
	"slices"
	"strconv"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// givesBack: messages that are given back are handed out again, in order, before later
// ones, any number of times. Messages that are held meanwhile are not.
func (e *env) givesBack() {
	n := e.opts.Window / 2
	e.publish("u", 0, n)
	in, _ := e.receipted()
	held := e.take(in, n)
	infra.Settle(held[0], true)
	for round, keep := range []int{n / 2, 2, 1} {
		back := held[keep:]
		slices.Reverse(back) // the order in which they are given back is nobody's concern
		for _, m := range back {
			infra.GiveBack(m)
		}
		e.publish("u", n+round, 1)
		held = append(held[:keep:keep], e.again(in, keep, n+round+1)...)
	}
	for _, m := range held[1:] {
		infra.Settle(m, true)
	}
	e.eventually("all is done", func() bool { return e.lagOf(group) == 0 })
}

// givesBackAndStops: messages that were given back are not done, and a stop does not wait
// for them.
func (e *env) givesBackAndStops() {
	n := e.opts.Window / 2
	e.publish("u", 0, n)
	in, s := e.receipted()
	all := e.take(in, n)
	s.Bound(1) // else it comes again at once
	infra.Settle(all[0], true)
	infra.Settle(all[n-1], true)
	for _, m := range all[1 : n-1] {
		infra.GiveBack(m)
	}
	e.within("Close", s.Close)
	_, in = e.subscribe(group)
	e.only(in, numbers(1, n-2)...)
}

// receipted subscribes with receipts.
func (e *env) receipted() (<-chan *message.Message, infra.Subscriber) {
	s := e.subscriberWith(group, infra.SubscriberConfig{Receipts: true})
	in, err := s.Subscribe(context.Background(), topic)
	require.NoError(e, err)
	return in, s
}

// again receives the messages from first to end, and gives back what is stale.
func (e *env) again(in <-chan *message.Message, first, end int) (msgs []*message.Message) {
	for len(msgs) < end-first {
		m := e.receive(in)
		if infra.Stale(m) {
			infra.GiveBack(m)
			continue
		}
		require.Equal(e, strconv.Itoa(first+len(msgs)), string(m.Payload))
		assert.NoError(e, infra.ClaimOf(m).Err())
		msgs = append(msgs, m)
	}
	return msgs
}
