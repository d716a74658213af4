package brokertest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// The window of the brokers that RunBusyKey tests, far smaller than what the
// busy users have queued. They have one partition.
const (
	BusyWindow    = 40
	BusyWindowKey = 6
)

// RunBusyKey tests brokers with one partition and a window of BusyWindow
// messages, of which one key may have BusyWindowKey.
func RunBusyKey(t *testing.T, open Opener) {
	t.Run("StarvesNobody", func(t *testing.T) {
		t.Parallel()
		newEnv(t, open(t), Options{Timeout: 30 * time.Second}).busyKey()
	})
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("Model", seed), func(t *testing.T) {
			t.Parallel()
			newEnv(t, open(t), Options{Timeout: 30 * time.Second}).busyKeys(rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

// A user with many queued events, the first of which is stuck, starves nobody
// in its partition; when it is free its events come in order, each once.
func (e *env) busyKey() {
	const queued, others, each = 2000, 20, 10
	e.publish("busy", 0, queued)
	for k := range others {
		e.publish(fmt.Sprint("other-", k), 0, each)
	}
	s, in := e.subscribe(group)
	var held []*message.Message
	next := map[string]int{}
	for got := 0; got < others*each; {
		m := e.receive(in)
		key := m.Metadata.Get(infra.MetaKey)
		assert.Equal(e, strconv.Itoa(next[key]), string(m.Payload), key)
		next[key]++
		if key == "busy" {
			held = append(held, m)
			continue
		}
		got++
		m.Ack()
	}
	assert.Len(e, held, BusyWindowKey, "no more of one key than WindowKey")
	e.eventually("the others are settled", func() bool { return s.Stats().Messages == BusyWindowKey })
	assert.Equal(e, queued-BusyWindowKey, s.Stats().Deferred)
	assert.Equal(e, queued-BusyWindowKey, s.Deferred("busy"))
	assert.Zero(e, s.Deferred("other-0"))
	e.eventually("the others are committed", func() bool { return e.lagOf(group) == queued })

	e.publish("busy", queued, 50) // new ones queue behind the deferred
	for n := len(held); n < queued+50; n++ {
		for _, m := range held {
			m.Ack()
		}
		m := e.receive(in)
		require.Equal(e, strconv.Itoa(n), string(m.Payload))
		held = []*message.Message{m}
	}
	held[0].Ack()
	e.eventually("all is done", func() bool { return e.lagOf(group) == 0 })
	assert.Zero(e, s.Stats().Deferred)
	assert.Zero(e, s.Deferred("busy"))
	require.NoError(e, s.Close())
	assert.Zero(e, s.Deferred("busy"), "a subscriber that is closed")
	_, in = e.subscribe(group)
	e.publish("busy", 77, 1)
	assert.Equal(e, "77", string(e.receive(in).Payload), "nothing comes again")
}

// Random users, of whom some get stuck, through several owners of the
// partition: every message comes, in the order of its key, and what was done
// never again.
func (e *env) busyKeys(r *rand.Rand) {
	const keys = 12
	published, done := map[string]int{}, map[string]map[int]bool{}
	store := func(n int) {
		for range n {
			k := fmt.Sprint("k", int(float64(keys)*r.Float64()*r.Float64()*r.Float64())) // few keys have most
			e.publish(k, published[k], 1)
			published[k]++
		}
	}
	store(400)
	for owner := range 4 {
		s, in := e.subscribe(group)
		var held []*message.Message
		last := map[string]int{}
		for steps := 150 * (owner + 1); steps > 0; steps-- {
			var m *message.Message
			select {
			case m = <-in:
			case <-time.After(5 * time.Millisecond): // the window is full of what we hold
			}
			if m != nil {
				key := m.Metadata.Get(infra.MetaKey)
				n, _ := strconv.Atoi(string(m.Payload))
				if before, seen := last[key]; seen {
					require.Greater(e, n, before, "order of %s", key)
				}
				last[key] = n
				require.False(e, done[key][n], "%s %d was done and came again", key, n)
				for i := range n { // all before it are done, or were handed out before it
					if !done[key][i] {
						require.True(e, holds(held, key, i), "%s %d came before %d", key, n, i)
					}
				}
				held = append(held, m)
			}
			if len(held) > 0 && (m == nil || r.IntN(3) > 0) {
				i := r.IntN(len(held))
				key := held[i].Metadata.Get(infra.MetaKey)
				n, _ := strconv.Atoi(string(held[i].Payload))
				if done[key] == nil {
					done[key] = map[int]bool{}
				}
				done[key][n] = true
				held[i].Ack()
				held = append(held[:i], held[i+1:]...)
			}
			if r.IntN(4) == 0 {
				store(1)
			}
		}
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		for _, m := range held {
			<-m.Context().Done()
			m.Nack()
		}
		require.NoError(e, <-closed)
	}
	s, in := e.subscribe(group) // the last owner finds the rest, and no more
	left := 0
	for k, n := range published {
		left += n - len(done[k])
	}
	for range left {
		m := e.receive(in)
		n, _ := strconv.Atoi(string(m.Payload))
		require.False(e, done[m.Metadata.Get(infra.MetaKey)][n], "came again")
		m.Ack()
	}
	e.eventually("all is done", func() bool { return e.lagOf(group) == 0 })
	require.NoError(e, s.Close())
}

func holds(held []*message.Message, key string, n int) bool {
	for _, m := range held {
		if m.Metadata.Get(infra.MetaKey) == key && string(m.Payload) == strconv.Itoa(n) {
			return true
		}
	}
	return false
}
