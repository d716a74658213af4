package kafka

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
	assert.Equal(t, map[string]int{"ListOffsets": 2, "OffsetFetch": 1}, asked)
}
