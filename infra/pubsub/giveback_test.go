package pubsub

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// consumer holds messages by key, and acks the first of a key or gives back the last ones.
type consumer struct {
	*env
	in    <-chan *message.Message
	rnd   *rand.Rand
	held  map[string][]*message.Message
	acked map[string]int
	left  int
}

func (c *consumer) receives(m *message.Message) {
	if infra.Stale(m) {
		infra.GiveBack(m)
		return
	}
	key := m.Metadata.Get(infra.MetaKey)
	c.held[key] = append(c.held[key], m)
}

func (c *consumer) step(keys int) {
	key := fmt.Sprint("k", c.rnd.IntN(keys))
	of := c.held[key]
	switch c.rnd.IntN(4) {
	case 0:
		if len(of) == 0 {
			return
		}
		require.Equal(c, strconv.Itoa(c.acked[key]), string(of[0].Payload), "of %s", key)
		infra.Settle(of[0], true)
		c.acked[key]++
		c.held[key] = of[1:]
		c.left--
	case 1:
		keep := c.rnd.IntN(len(of) + 1)
		back := of[keep:]
		c.held[key] = of[:keep]
		c.rnd.Shuffle(len(back), func(i, j int) { back[i], back[j] = back[j], back[i] })
		for _, m := range back {
			infra.GiveBack(m)
		}
	default:
		held := 0
		for _, of := range c.held {
			held += len(of)
		}
		if held == 0 {
			c.receives(c.receive(c.in))
			return
		}
		select {
		case m := <-c.in:
			c.receives(m)
		default:
		}
	}
}

// Whatever is given back, and whenever, each message of a key comes before those that
// follow it, and none is lost.
func TestGivenBackComesAgainInOrder(t *testing.T) {
	const keys, each = 6, 60
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			e := newEnv(t, Config{WindowMessages: 40, WindowKey: 10})
			s, in := e.subscribe()
			c := &consumer{env: e, in: in, rnd: rand.New(rand.NewPCG(seed, 1)), held: map[string][]*message.Message{}, acked: map[string]int{}, left: keys * each}
			for n := range each {
				for k := range keys {
					e.publish(fmt.Sprint("k", k), n, 1)
				}
				c.step(keys)
			}
			for c.left > 0 {
				c.step(keys)
			}
			e.lags(0)
			stats := s.Stats()
			require.Zero(t, stats.Messages)
			require.Zero(t, stats.Deferred)
			e.eventually("nothing is held", func() bool { return e.Broker.(*broker).budget.used.Load() == 0 })
		})
	}
}

// What is given back takes no memory, is not done, and comes when more may be held.
func TestGivenBackIsHeldByTheBroker(t *testing.T) {
	const n, size = 50, 1000
	e := newEnv(t, Config{})
	b := e.Broker.(*broker)
	for i := range n {
		require.NoError(t, e.Publisher(infra.Durable).Publish(topic, newMessage(fmt.Sprint("k", i), strings.Repeat("x", size))))
	}
	s, in := e.subscribe()
	all := e.take(in, n)
	require.GreaterOrEqual(t, b.budget.used.Load(), int64(n*size))
	s.Bound(2)
	for _, m := range all[2:] {
		infra.GiveBack(m)
	}
	e.eventually("no more than two are held", func() bool { return b.budget.used.Load() <= 2*(size+2*messageCost) })
	require.Equal(t, 2, s.Stats().Messages)
	require.Equal(t, n-2, s.Stats().Deferred)
	require.EqualValues(t, n, e.lag())
	settle(true, all[:2]...)
	s.Bound(0)
	settle(true, e.take(in, n-2)...)
	e.lags(0)
	require.NoError(t, s.Close())
}

// What was given back is the next owner's, and holds up no move.
func TestGivenBackMovesWithItsPartition(t *testing.T) {
	e := newEnv(t, Config{})
	e.publish("u", 0, 5)
	s, in := e.subscribe()
	all := e.take(in, 5)
	s.Bound(1)
	settle(true, all[0])
	for _, m := range all[1:] {
		infra.GiveBack(m)
	}
	require.NoError(t, s.Close())
	_, in = e.subscribe()
	again := e.take(in, 4)
	require.Equal(t, numbers(1, 4), payloads(again))
	settle(true, again...)
	e.lags(0)
}
