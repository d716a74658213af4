package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

func TestTail(t *testing.T) { tails(t, cluster(t).ListenAddrs()) }

// TestRealKafkaTail needs EVENTSERVER_TEST_KAFKA, as TestRealKafka does.
func TestRealKafkaTail(t *testing.T) {
	env := os.Getenv("EVENTSERVER_TEST_KAFKA")
	if env == "" {
		t.Skip("EVENTSERVER_TEST_KAFKA is not set")
	}
	tails(t, strings.Split(env, ","))
}

func openTail(t *testing.T, cfg Config) *Tail {
	t.Helper()
	tail, err := OpenTail(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, tail.Close()) })
	return tail
}

func put(t *testing.T, b *Broker, topic string, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		m := message.NewMessage(fmt.Sprint("m", n), []byte("x"))
		m.Metadata.Set(infra.MetaKey, fmt.Sprint("k", n%5))
		require.NoError(t, b.Publisher().Publish(topic, m))
	}
}

var errEnough = errors.New("enough")

// watched reads until want messages have come and returns their ids by partition.
func watched(t *testing.T, tail *Tail, topic string, from Start, want int, started func(int)) map[string][]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	got, n := map[string][]string{}, 0
	last := map[string]int64{}
	err := tail.Read(ctx, topic, from, Watcher{
		Started: started,
		Trouble: func(_ int32, err error) error { return err },
		Record: func(m *message.Message, at time.Time) error {
			assert.Equal(t, tail.RealName(topic), m.Metadata.Get(infra.MetaTopic))
			assert.WithinDuration(t, time.Now(), at, time.Minute)
			p := m.Metadata.Get(infra.MetaPartition)
			if offset := infra.Offset(m); len(got[p]) > 0 {
				assert.Equal(t, last[p]+1, offset)
			}
			last[p] = infra.Offset(m)
			got[p] = append(got[p], m.UUID)
			if n++; n == want {
				return errEnough
			}
			return nil
		},
	})
	require.ErrorIs(t, err, errEnough)
	return got
}

func tails(t *testing.T, addrs []string) {
	cfg := testConfig(addrs...)
	cfg.TopicPrefix = "tail-" + watermill.NewShortUUID() + "-"
	cfg.TopicNames = map[string]string{"other": "named"}
	b := open(t, cfg)
	ensure(t, b, "one", "other")
	tail := openTail(t, cfg)

	names, err := tail.Topics()
	require.NoError(t, err)
	assert.Equal(t, []string{cfg.TopicPrefix + "named", cfg.TopicPrefix + "one"}, names)
	err = tail.Read(t.Context(), "none", Start{}, Watcher{})
	require.ErrorIs(t, err, ErrNoTopic)
	assert.EqualError(t, err, "topic "+cfg.TopicPrefix+"none does not exist")

	put(t, b, "one", 0, 20)
	all := watched(t, tail, "one", Start{Beginning: true}, 20, nil)
	for p, ids := range all {
		var numbers []int
		for _, id := range ids {
			var n int
			_, err := fmt.Sscanf(id, "m%d", &n)
			require.NoError(t, err)
			numbers = append(numbers, n)
		}
		assert.IsIncreasing(t, append([]int{-1}, numbers...), "partition %s", p)
	}
	live := watched(t, tail, "one", Start{}, 10, func(partitions int) {
		assert.Equal(t, 4, partitions)
		put(t, b, "one", 20, 30) // before any partition is open: the start is settled
	})
	assert.NotContains(t, fmt.Sprint(live), "m19 ")
	assert.Contains(t, fmt.Sprint(live), "m20")

	assert.Equal(t, 30, count(watched(t, tail, "one", Start{Since: time.Now().Add(-time.Hour)}, 30, nil)))
	later := watched(t, tail, "one", Start{Since: time.Now().Add(time.Hour)}, 1, func(int) { put(t, b, "one", 30, 31) })
	assert.Contains(t, fmt.Sprint(later), "m30", "a time to come is the end")

	watched(t, tail, "other", Start{}, 1, func(int) { put(t, b, "other", 0, 1) })

	ctx, cancel := context.WithCancel(t.Context())
	err = tail.Read(ctx, "one", Start{}, Watcher{Started: func(int) { cancel() }})
	assert.ErrorIs(t, err, context.Canceled)
}

func count(got map[string][]string) (n int) {
	for _, ids := range got {
		n += len(ids)
	}
	return n
}

// A partition whose next records were deleted goes on with the oldest, one that
// has become shorter at its end, and both say so.
func TestTailOfARecordThatWasDeleted(t *testing.T) {
	cfg := testConfig(cluster(t).ListenAddrs()...)
	cfg.Partitions = 1
	b := open(t, cfg)
	ensure(t, b, "one")
	put(t, b, "one", 0, 10)
	require.NoError(t, b.Trim("one", Done{0: 4}))
	client, err := openTail(t, cfg).readers.connected()
	require.NoError(t, err)
	for next, want := range map[int64]int64{2: 4, 99: 10, 5: 5} {
		consumer, err := sarama.NewConsumerFromClient(client)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		out := make(chan tailed)
		ended := make(chan struct{})
		f := &follower{consumer: consumer, client: client, topic: "one", next: next, out: out}
		go func() { f.run(ctx); close(ended) }()
		if want != next {
			assert.ErrorIs(t, (<-out).err, errTrimmed)
		}
		if want == 10 {
			put(t, b, "one", 10, 11)
		}
		got := <-out
		require.NoError(t, got.err)
		assert.Equal(t, want, got.rec.Offset)
		cancel()
		<-ended
		require.NoError(t, consumer.Close())
	}
}

// A cluster that has gone is Trouble, which decides how long to go on.
func TestTailOfAClusterThatStops(t *testing.T) {
	c := cluster(t)
	b := open(t, testConfig(c.ListenAddrs()...))
	ensure(t, b, "one")
	tail := openTail(t, testConfig(c.ListenAddrs()...))
	troubles := 0
	err := tail.Read(t.Context(), "one", Start{}, Watcher{
		Started: func(int) { c.Close() },
		Trouble: func(_ int32, err error) error {
			require.Error(t, err)
			if troubles++; troubles == 2 {
				return errEnough
			}
			return nil
		},
	})
	require.ErrorIs(t, err, errEnough)
}
