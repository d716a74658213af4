package pubsub

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// A message that waits costs what the budget charges for it, and not much less: here
// without its entry in the destination's scheduler (schedule.TestWaitingIsSmall).
func TestMessageCost(t *testing.T) {
	const n, scheduled = 20_000, 250
	e := newEnv(t, Config{Memory: 1 << 40, WindowMessages: n + 1})
	for from := 0; from < n; from += 1000 {
		msgs := make([]*message.Message, 1000)
		for i := range msgs {
			msgs[i] = benchMessage()
			msgs[i].UUID = watermill.NewUUID()
			msgs[i].Metadata.Set(infra.MetaKey, fmt.Sprint("user-", from+i))
		}
		require.NoError(t, e.Publisher(infra.Durable).Publish(topic, msgs...))
	}
	before := heap()
	s, in := e.subscribe()
	msgs := e.take(in, n)
	got := (heap() - before) / n
	charged := int(e.Broker.(*broker).budget.used.Load()) / n
	t.Logf("a message takes %d bytes and %d in the scheduler, %d are charged, of them %d for its record", got, scheduled, charged, charged-messageCost)
	assert.LessOrEqual(t, got+scheduled, charged)
	assert.GreaterOrEqual(t, 10*(got+scheduled), 8*charged)
	settle(true, msgs...)
	require.NoError(t, s.Close())
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
