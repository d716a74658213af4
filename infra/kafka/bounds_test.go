package kafka

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
)

// What the lag of 200 idle destinations costs does not grow with them: each asked six
// times in five seconds.
func TestLookAsksForAllAtOnce(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	l := openLog(t, testConfig(c.ListenAddrs()...))
	topics, of := []infra.Topic{}, []infra.GroupTopic{}
	for i := range 20 {
		name := fmt.Sprint("dest.", i)
		topics = append(topics, infra.Topic{Name: name})
		of = append(of, infra.GroupTopic{Group: name, Topic: name}, infra.GroupTopic{Group: "transform." + name, Topic: topics[0].Name})
	}
	require.NoError(t, l.CreateTopics(t.Context(), topics...))
	look := func() {
		t.Helper()
		for _, one := range l.Look(t.Context(), of...) {
			require.NoError(t, one.Err)
			assert.Len(t, one.Bounds, 4)
		}
	}
	look() // it finds out who leads and coordinates what
	var mu sync.Mutex
	asked := map[string]int{}
	c.Control(func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		asked[kmsg.NameForKey(r.Key())]++
		return nil, nil, false
	})
	look()
	mu.Lock()
	defer mu.Unlock()
	delete(asked, "Metadata") // the client asks when what it knows is 100 ms old
	assert.Equal(t, map[string]int{"ListOffsets": 2, "OffsetFetch": 1}, asked)
}

// A broker that was killed is named as the leader until the cluster notices, and a new
// leader has no answer at first. Whoever asked for bounds meanwhile failed at once: a
// process did not start, the first event after a start was refused, and what had been
// transformed before a kill was not looked for.
func TestBoundsWaitForANewLeader(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	listeners := map[string]net.Listener{}
	c := cluster(t, kfake.NumBrokers(3), kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), network, address)
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			listeners[l.Addr().String()] = l
		}
		return l, err
	}))
	require.NoError(t, c.CreateTopic(topic, 3, nil))
	addrs := c.ListenAddrs() // by node
	for p := range int32(3) {
		require.NoError(t, c.MoveTopicPartition(topic, p, p))
	}
	require.NoError(t, listeners[addrs[0]].Close())
	l := openLog(t, testConfig(addrs[1:]...))
	var asked atomic.Int64
	c.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if asked.Add(1) == 5 { // by then it has met the dead one
			go func() {
				c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Err: kerr.OffsetNotAvailable, Count: 5})
				assert.NoError(t, c.MoveTopicPartition(topic, 0, 1))
			}()
		}
		return nil, nil, false
	})
	bounds, err := l.Bounds(t.Context(), topic, time.Time{})
	require.NoError(t, err)
	assert.Len(t, bounds, 3)
}
