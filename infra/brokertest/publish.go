package brokertest

import (
	"bytes"
	"fmt"
	"maps"
	"strconv"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

func (e *env) ensureTopics() {
	kept := infra.Topic{Name: "poison.webhook", Keep: true}
	for range 3 {
		require.NoError(e, e.broker.EnsureTopics(e.Context(), infra.Topic{Name: topic}, kept))
	}
	require.NoError(e, e.broker.EnsureTopics(e.Context()))
	require.NoError(e, e.broker.Publisher(infra.Durable).Publish(kept.Name, newMessage("u", "1")))
	e.publish("u", 1, 1)
	require.NoError(e, e.broker.EnsureTopics(e.Context(), infra.Topic{Name: topic}, kept))
	_, in := e.subscribe(group)
	e.only(in, "1") // nothing was emptied
}

// roundTrip: a payload comes back byte for byte, with its headers, and with
// coordinates that no publisher can set.
func (e *env) roundTrip() {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	bodies := [][]byte{nil, {}, []byte("x"), all, []byte("{\"a\": \"\\u003c\"}\r\n"), bytes.Repeat([]byte{0, 0xff}, 40_000)}
	var sent []*message.Message
	for i, body := range bodies {
		m := newMessage("user-1", "")
		m.Payload = body
		m.Metadata.Set("ce_id", strconv.Itoa(i))
		m.Metadata.Set("empty", "")
		m.Metadata.Set("utf8", "Grüße, 世界")
		m.Metadata.Set(infra.MetaTopic, "elsewhere")
		m.Metadata.Set(infra.MetaPartition, "77")
		m.Metadata.Set(infra.MetaOffset, "99")
		sent = append(sent, m)
	}
	require.NoError(e, e.broker.Publisher(infra.Durable).Publish(topic, sent...))
	_, in := e.subscribe(group)
	first := int32(-1)
	for i, want := range sent {
		got := e.receive(in)
		assert.Equal(e, want.UUID, got.UUID)
		assert.True(e, bytes.Equal(bodies[i], got.Payload), "payload %d", i)
		headers := maps.Clone(got.Metadata)
		for _, k := range []string{infra.MetaKey, infra.MetaTopic, infra.MetaPartition, infra.MetaOffset} {
			assert.Contains(e, headers, k)
			delete(headers, k)
		}
		assert.Equal(e, message.Metadata{"ce_id": strconv.Itoa(i), "empty": "", "utf8": "Grüße, 世界"}, headers)
		assert.Equal(e, "user-1", got.Metadata.Get(infra.MetaKey))
		assert.Equal(e, topic, got.Metadata.Get(infra.MetaTopic), "the logical name, without a prefix")
		assert.EqualValues(e, i, infra.Offset(got))
		if first < 0 {
			first = infra.Partition(got)
		}
		assert.Equal(e, first, infra.Partition(got), "one key, one partition")
		assert.Less(e, int(first), e.opts.Partitions)
		got.Ack()
	}
}

// keylessSpread: an empty key once sent every keyless message to one partition.
func (e *env) keylessSpread() {
	const count = 200
	e.publish("", 0, count)
	_, in := e.subscribe(group)
	seen := map[int32]int{}
	for range count {
		m := e.receive(in)
		assert.NotEmpty(e, m.Metadata.Get(infra.MetaKey))
		seen[infra.Partition(m)]++
		m.Ack()
	}
	assert.Len(e, seen, e.opts.Partitions, "200 random keys reach every partition: %v", seen)
}

// keyOrder: many concurrent publishers, one per key.
func (e *env) keyOrder() {
	const keys, each = 10, 30
	var wg sync.WaitGroup
	for k := range keys {
		wg.Go(func() {
			for i := 0; i < each; i += 3 {
				key := fmt.Sprint("user-", k)
				msgs := []*message.Message{newMessage(key, fmt.Sprint(i)), newMessage(key, fmt.Sprint(i+1)), newMessage(key, fmt.Sprint(i+2))}
				if err := e.broker.Publisher(infra.Durable).Publish(topic, msgs...); err != nil {
					e.Error(err)
				}
			}
		})
	}
	wg.Wait()
	_, in := e.subscribe(group)
	got, offsets := map[string][]string{}, map[int32]int64{}
	for range keys * each {
		m := e.receive(in)
		p := infra.Partition(m)
		assert.Equal(e, offsets[p], infra.Offset(m), "partition %d in offset order, without a gap", p)
		offsets[p]++
		key := m.Metadata.Get(infra.MetaKey)
		got[key] = append(got[key], string(m.Payload))
		m.Ack()
	}
	for k := range keys {
		assert.Equal(e, numbers(0, each), got[fmt.Sprint("user-", k)])
	}
}

func (e *env) oversize() {
	big := newMessage("u", "")
	big.Payload = make([]byte, e.opts.MaxMessageBytes+1)
	require.ErrorIs(e, e.broker.Publisher(infra.Durable).Publish(topic, big), infra.ErrTooLarge)
	half := newMessage("u", "")
	half.Payload = make([]byte, e.opts.MaxMessageBytes/2)
	require.NoError(e, e.broker.Publisher(infra.Durable).Publish(topic, half), "one bad message leaves the publisher usable")
	_, in := e.subscribe(group)
	assert.Len(e, e.receive(in).Payload, len(half.Payload))
}

func (e *env) publishAfterClose() {
	pub := e.broker.Publisher(infra.Durable)
	require.NoError(e, pub.Close())
	require.NoError(e, pub.Publish(topic, newMessage("u", "1")), "closing the shared publisher does nothing")
	require.NoError(e, e.broker.Close())
	require.Error(e, pub.Publish(topic, newMessage("u", "2")))
	require.Error(e, e.broker.Publisher(infra.Durable).Publish(topic, newMessage("u", "3")))
	_, err := e.broker.Subscriber(group, infra.SubscriberConfig{})
	require.Error(e, err)
	require.NoError(e, e.broker.Close(), "closing twice")
}

// publishWhileClosing: some clients panic on a send after their close.
func (e *env) publishWhileClosing() {
	var wg sync.WaitGroup
	started := make(chan struct{}, 8)
	for range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				if e.broker.Publisher(infra.Durable).Publish(topic, newMessage("", "x"), newMessage("", "y")) != nil {
					return
				}
				if i == 3 {
					started <- struct{}{}
				}
			}
		})
	}
	for range 8 {
		<-started
	}
	e.within("Close", e.broker.Close)
	wg.Wait()
}
