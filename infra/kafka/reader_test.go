package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

func TestReader(t *testing.T) { reads(t, cluster(t).ListenAddrs()) }

// TestRealKafkaReader needs EVENTSERVER_TEST_KAFKA, as TestRealKafka does.
func TestRealKafkaReader(t *testing.T) {
	env := os.Getenv("EVENTSERVER_TEST_KAFKA")
	if env == "" {
		t.Skip("EVENTSERVER_TEST_KAFKA is not set")
	}
	reads(t, strings.Split(env, ","))
}

// A scan that follows a topic polls for as long as nothing comes. On the same
// connection every other question waited for that: an explanation of an event
// took 6 s instead of 0.1 s.
func TestFollowingHoldsNobodyUp(t *testing.T) {
	b := open(t, Config{Brokers: cluster(t).ListenAddrs(), Partitions: 4})
	require.NoError(t, b.EnsureTopics(t.Context(), infra.Topic{Name: "quiet"}))
	put(t, b, "quiet", 0, 1)
	bounds, err := b.Bounds(t.Context(), "quiet", time.Time{})
	require.NoError(t, err)
	ranges := map[int32]infra.Range{}
	for p := range bounds {
		ranges[p] = infra.Range{To: infra.Forever}
	}
	ctx, cancel := context.WithCancel(t.Context())
	follows, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- b.Scan(ctx, "quiet", ranges, func(*message.Message, time.Time) error { close(follows); return nil })
	}()
	<-follows
	began := time.Now()
	for range 10 {
		_, err := b.Bounds(t.Context(), "quiet", began)
		require.NoError(t, err)
	}
	assert.Less(t, time.Since(began), 2*time.Second, "each of 30 requests would have waited up to 250 ms")
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func openReader(t *testing.T, cfg Config) *Reader {
	t.Helper()
	r, err := OpenReader(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, r.Close()) })
	return r
}

func put(t *testing.T, b *Broker, topic string, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		m := message.NewMessage(fmt.Sprint("m", n), []byte("x"))
		m.Metadata.Set(infra.MetaKey, fmt.Sprint("k", n%5))
		require.NoError(t, b.Publisher(infra.Durable).Publish(topic, m))
	}
}

var errEnough = errors.New("enough")

// scanned reads from what begin makes of a partition's bounds until want
// messages have come, and returns their ids by partition.
func scanned(t *testing.T, r *Reader, topic string, since time.Time, begin func(infra.Bounds) int64, want int, started func()) map[string][]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	bounds, err := r.Bounds(ctx, topic, since)
	require.NoError(t, err)
	assert.Len(t, bounds, 4)
	ranges := map[int32]infra.Range{}
	for p, b := range bounds {
		ranges[p] = infra.Range{From: begin(b), To: infra.Forever}
	}
	started()
	got, n := map[string][]string{}, 0
	last := map[string]int64{}
	err = r.Scan(ctx, topic, ranges, func(m *message.Message, at time.Time) error {
		assert.Equal(t, r.RealName(topic), m.Metadata.Get(infra.MetaTopic))
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
	})
	require.ErrorIs(t, err, errEnough)
	return got
}

func reads(t *testing.T, addrs []string) {
	cfg := testConfig(addrs...)
	cfg.TopicPrefix = "read-" + watermill.NewShortUUID() + "-"
	cfg.TopicNames = map[string]string{"other": "named"}
	b := open(t, cfg)
	ensure(t, b, "one", "other")
	r := openReader(t, cfg)
	oldest := func(b infra.Bounds) int64 { return b.Oldest }
	at := func(b infra.Bounds) int64 { return b.At }
	end := func(b infra.Bounds) int64 { return b.End }
	nothing := func() {}

	names, err := r.Topics()
	require.NoError(t, err)
	assert.Equal(t, []string{cfg.TopicPrefix + "named", cfg.TopicPrefix + "one"}, names)
	_, err = r.Bounds(t.Context(), "none", time.Time{})
	require.ErrorIs(t, err, infra.ErrNoTopic)
	assert.EqualError(t, err, "topic "+cfg.TopicPrefix+"none does not exist")

	put(t, b, "one", 0, 20)
	all := scanned(t, r, "one", time.Time{}, oldest, 20, nothing)
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
	live := scanned(t, r, "one", time.Time{}, end, 10, func() { put(t, b, "one", 20, 30) })
	assert.NotContains(t, fmt.Sprint(live), "m19 ")
	assert.Contains(t, fmt.Sprint(live), "m20")

	assert.Equal(t, 30, count(scanned(t, r, "one", time.Now().Add(-time.Hour), at, 30, nothing)))
	later := scanned(t, r, "one", time.Now().Add(time.Hour), at, 1, func() { put(t, b, "one", 30, 31) })
	assert.Contains(t, fmt.Sprint(later), "m30", "a time to come is the end")

	scanned(t, r, "other", time.Time{}, end, 1, func() { put(t, b, "other", 0, 1) })

	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	err = r.Scan(ctx, "one", map[int32]infra.Range{0: {From: 99, To: infra.Forever}}, func(*message.Message, time.Time) error { return nil })
	assert.ErrorIs(t, err, context.Canceled)
}

func count(got map[string][]string) (n int) {
	for _, ids := range got {
		n += len(ids)
	}
	return n
}

// A partition whose next records were deleted goes on with the oldest, one that
// has become shorter with its end.
func TestReadingWhatWasDeleted(t *testing.T) {
	cfg := testConfig(cluster(t).ListenAddrs()...)
	cfg.Partitions = 1
	b := open(t, cfg)
	ensure(t, b, "one")
	put(t, b, "one", 0, 10)
	require.NoError(t, b.admin.DeleteRecords("one", map[int32]int64{0: 4}))
	r := openReader(t, cfg)
	read := func(from, to int64, most int) (offsets []int64) {
		err := r.Scan(t.Context(), "one", map[int32]infra.Range{0: {From: from, To: to}}, func(m *message.Message, _ time.Time) error {
			offsets = append(offsets, infra.Offset(m))
			if len(offsets) == most {
				return errEnough
			}
			return nil
		})
		if err != nil {
			require.ErrorIs(t, err, errEnough)
		}
		return offsets
	}
	assert.Equal(t, []int64{4, 5, 6}, read(2, 7, 99))
	assert.Empty(t, read(1, 3, 99), "all of it is deleted")
	assert.Empty(t, read(99, 120, 99), "nothing is there yet, and it is not waited for")
	assert.Equal(t, []int64{5}, read(5, infra.Forever, 1))
	time.AfterFunc(100*time.Millisecond, func() { put(t, b, "one", 10, 11) })
	assert.Equal(t, []int64{10}, read(99, infra.Forever, 1), "it goes on with the end")
}

// A cluster that has gone is an error, after some tries.
func TestReadingAClusterThatStops(t *testing.T) {
	c := cluster(t)
	b := open(t, testConfig(c.ListenAddrs()...))
	ensure(t, b, "one")
	r := openReader(t, testConfig(c.ListenAddrs()...))
	c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := r.Scan(ctx, "one", map[int32]infra.Range{0: {To: infra.Forever}}, func(*message.Message, time.Time) error { return nil })
	require.ErrorContains(t, err, "read topic one: ")
}
