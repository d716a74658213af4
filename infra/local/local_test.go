package local

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"eventserver/infra"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// both runs a test in memory and in a directory.
func both(t *testing.T, test func(t *testing.T, cfg Config)) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) { t.Parallel(); test(t, Config{Partitions: 2}) })
	t.Run("dir", func(t *testing.T) { t.Parallel(); test(t, Config{Partitions: 2, Dir: t.TempDir()}) })
}

func open(t testing.TB, cfg Config, topics ...string) *Log {
	t.Helper()
	l, err := Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	for _, name := range topics {
		require.NoError(t, l.CreateTopics(t.Context(), infra.Topic{Name: name}))
	}
	return l
}

var zeroTime time.Time

func record(topic string, partition int32, value string) *infra.Record {
	return &infra.Record{Topic: topic, Partition: partition, Key: []byte("k"), Value: []byte(value), Headers: []infra.Header{{Key: []byte("h"), Value: []byte(value)}}}
}

func put(t testing.TB, l *Log, topic string, partition int32, values ...string) []*infra.Record {
	t.Helper()
	var rs []*infra.Record
	for _, v := range values {
		rs = append(rs, record(topic, partition, v))
	}
	require.NoError(t, l.Append(t.Context(), infra.Batch{Records: rs}))
	return rs
}

// readAll reads to the end.
func readAll(t testing.TB, l *Log, topic string, partition int32, from int64) []*infra.Record {
	t.Helper()
	c, err := l.Open(t.Context(), topic, partition, from)
	require.NoError(t, err)
	defer c.Close()
	var all []*infra.Record
	for {
		rs, err := c.Read(t.Context(), 1<<10)
		require.NoError(t, err)
		if len(rs) == 0 {
			return all
		}
		all = append(all, rs...)
	}
}

func values(rs []*infra.Record) []string {
	out := []string{}
	for _, r := range rs {
		out = append(out, string(r.Value))
	}
	return out
}

func names(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func TestAppendAndRead(t *testing.T) {
	both(t, func(t *testing.T, cfg Config) {
		l := open(t, cfg, "a", "b")
		before := time.Now()
		stored := put(t, l, "a", 1, names(0, 100)...)
		for i, r := range stored {
			assert.EqualValues(t, i, r.Offset)
			assert.False(t, r.Time.Before(before.Truncate(0)))
		}
		read := readAll(t, l, "a", 1, 0)
		assert.Equal(t, stored, read)
		assert.Empty(t, readAll(t, l, "a", 0, 0))
		assert.Empty(t, readAll(t, l, "b", 1, 0))
		assert.Equal(t, names(90, 100), values(readAll(t, l, "a", 1, 90)))

		// The same from the tail, where a cursor waits at the end.
		c, err := l.Open(t.Context(), "a", 1, 100)
		require.NoError(t, err)
		defer c.Close()
		rs, err := c.Read(t.Context(), 1<<20)
		require.NoError(t, err)
		assert.Empty(t, rs)
		more := put(t, l, "a", 1, names(100, 103)...)
		<-c.More()
		rs, err = c.Read(t.Context(), 1<<20)
		require.NoError(t, err)
		assert.Equal(t, more, rs)
		assert.Equal(t, more, readAll(t, l, "a", 1, 100))
	})
}

func TestAppendRefuses(t *testing.T) {
	both(t, func(t *testing.T, cfg Config) {
		cfg.MaxRecordBytes = 1 << 20
		l := open(t, cfg, "a")
		ctx := t.Context()
		assert.ErrorIs(t, l.Append(ctx, infra.Batch{Records: []*infra.Record{record("a", 0, "x"), record("none", 0, "x")}}), infra.ErrNoTopic)
		assert.Error(t, l.Append(ctx, infra.Batch{Records: []*infra.Record{record("a", 2, "x")}}))
		big := record("a", 0, strings.Repeat("x", 1<<20))
		assert.ErrorIs(t, l.Append(ctx, infra.Batch{Records: []*infra.Record{record("a", 0, "x"), big}}), infra.ErrTooLarge)
		assert.ErrorIs(t, l.Append(ctx, infra.Batch{
			Records: []*infra.Record{record("a", 0, "x")}, Progress: []infra.Progressed{{Group: "g", Topic: "none"}},
		}), infra.ErrNoTopic)
		ended, end := context.WithCancel(ctx)
		end()
		assert.ErrorIs(t, l.Append(ended, infra.Batch{Records: []*infra.Record{record("a", 0, "x")}}), context.Canceled)
		assert.Empty(t, readAll(t, l, "a", 0, 0), "whole or not at all")
		_, err := l.Open(ctx, "none", 0, 0)
		assert.ErrorIs(t, err, infra.ErrNoTopic)
		require.NoError(t, l.Close())
		require.NoError(t, l.Close())
		assert.ErrorIs(t, l.Append(ctx, infra.Batch{Records: []*infra.Record{record("a", 0, "x")}}), ErrClosed)
		assert.ErrorIs(t, l.Keep(ctx, infra.Progressed{Group: "g", Topic: "a"}), ErrClosed)
		assert.ErrorIs(t, l.Ping(ctx), ErrClosed)
	})
}

func TestConcurrentAppendsKeepOrder(t *testing.T) {
	both(t, func(t *testing.T, cfg Config) {
		l := open(t, cfg, "a")
		c, err := l.Open(t.Context(), "a", 0, 0)
		require.NoError(t, err)
		defer c.Close()
		const writers, each = 16, 50
		var running sync.WaitGroup
		for w := range writers {
			running.Go(func() {
				for i := range each {
					d := infra.Durable
					if i%2 == 0 {
						d = infra.Step
					}
					assert.NoError(t, l.Append(t.Context(), infra.Batch{Durability: d, Records: []*infra.Record{
						record("a", 0, fmt.Sprint(w, " ", i)), record("a", 1, "other"), record("a", 0, fmt.Sprint(w, " ", i, " second")),
					}}))
				}
			})
		}
		last := map[int]int{}
		for n := 0; n < writers*each*2; {
			rs, err := c.Read(t.Context(), 4<<10)
			require.NoError(t, err)
			if len(rs) == 0 {
				<-c.More()
			}
			for _, r := range rs {
				require.EqualValues(t, n, r.Offset)
				n++
				var w, i int
				_, err := fmt.Sscan(string(r.Value), &w, &i)
				require.NoError(t, err)
				place := 2 * i
				if strings.HasSuffix(string(r.Value), "second") {
					place++
				}
				require.Equal(t, last[w], place, "the next of its writer")
				last[w]++
			}
		}
		running.Wait()
	})
}

func TestKeep(t *testing.T) {
	both(t, func(t *testing.T, cfg Config) {
		l := open(t, cfg, "a")
		ctx := t.Context()
		put(t, l, "a", 0, names(0, 10)...)
		keep := func(next int64, text string) infra.Progressed {
			return infra.Progressed{Group: "g", Topic: "a", Partition: 0, Position: infra.Position{Next: next, Text: text}}
		}
		want := func(next int64, text string) {
			t.Helper()
			kept, err := l.Kept(ctx, "a")
			require.NoError(t, err)
			assert.Equal(t, map[string]map[int32]infra.Position{"g": {0: {Next: next, Text: text}}}, kept)
		}
		require.NoError(t, l.Keep(ctx, keep(3, "x")))
		want(3, "x")
		require.NoError(t, l.Append(ctx, infra.Batch{Progress: []infra.Progressed{keep(4, "y")}, Durability: infra.Step}))
		want(4, "y")
		require.NoError(t, l.Keep(ctx, keep(5, "z")))
		require.NoError(t, l.Append(ctx, infra.Batch{Progress: []infra.Progressed{keep(6, "")}}))
		require.NoError(t, l.Keep(ctx, keep(7, "w")))
		want(7, "w")
		assert.Error(t, l.Keep(ctx, keep(1, strings.Repeat("x", progressBytes+1))))
		assert.ErrorIs(t, l.Keep(ctx, infra.Progressed{Group: "g", Topic: "none"}), infra.ErrNoTopic)
		if cfg.Dir == "" {
			return
		}
		require.NoError(t, l.Close())
		l = open(t, cfg)
		want(7, "w")
		require.NoError(t, l.Reset(ctx, "g", "a", map[int32]int64{0: 2}))
		want(2, "")
		require.NoError(t, l.DeleteGroups(ctx, "g", "nobody"))
		require.NoError(t, l.Close())
		l = open(t, cfg)
		kept, err := l.Kept(ctx, "a")
		require.NoError(t, err)
		assert.Empty(t, kept)
	})
}

func TestTrimAndBounds(t *testing.T) {
	both(t, func(t *testing.T, cfg Config) {
		l := open(t, cfg, "a")
		ctx := t.Context()
		stored := put(t, l, "a", 0, names(0, 20)...)
		require.NoError(t, l.Trim(ctx, "a", map[int32]int64{0: 5, 1: 3}))
		assert.Equal(t, names(5, 20), values(readAll(t, l, "a", 0, 0)))
		bounds := func(since time.Time) map[int32]infra.Bounds {
			t.Helper()
			b, err := l.Bounds(ctx, "a", since)
			require.NoError(t, err)
			return b
		}
		assert.Equal(t, map[int32]infra.Bounds{0: {Oldest: 5, At: 5, End: 20}, 1: {}}, bounds(time.Time{}))
		assert.EqualValues(t, 5, bounds(stored[0].Time)[0].At)
		assert.EqualValues(t, 20, bounds(stored[19].Time.Add(1))[0].At)
		require.NoError(t, l.Trim(ctx, "a", map[int32]int64{0: 99}))
		assert.Empty(t, readAll(t, l, "a", 0, 0))
		assert.Equal(t, infra.Bounds{Oldest: 20, At: 20, End: 20}, bounds(time.Time{})[0])
		if cfg.Dir != "" {
			require.NoError(t, l.Close())
			l = open(t, cfg)
			assert.Equal(t, infra.Bounds{Oldest: 20, At: 20, End: 20}, bounds(time.Time{})[0])
		}
		assert.EqualValues(t, 20, put(t, l, "a", 0, "next")[0].Offset)
	})
}

func TestTopics(t *testing.T) {
	both(t, func(t *testing.T, cfg Config) {
		l := open(t, cfg, "b", "a")
		ctx := t.Context()
		put(t, l, "a", 0, "old")
		require.NoError(t, l.Keep(ctx, infra.Progressed{Group: "g", Topic: "a", Position: infra.Position{Next: 1}}))
		c, err := l.Open(ctx, "a", 0, 0)
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, l.CreateTopics(ctx, infra.Topic{Name: "a"}, infra.Topic{Name: "c"}, infra.Topic{Name: "c"}))
		require.NoError(t, l.DeleteTopics(ctx, "a", "none"))
		_, err = c.Read(ctx, 1)
		require.ErrorIs(t, err, infra.ErrNoTopic)
		_, err = l.Bounds(ctx, "a", time.Time{})
		require.ErrorIs(t, err, infra.ErrNoTopic)
		require.NoError(t, l.CreateTopics(ctx, infra.Topic{Name: "a"}))
		if cfg.Dir != "" {
			require.NoError(t, l.Close())
			l = open(t, cfg)
		}
		topics, err := l.Topics(ctx)
		require.NoError(t, err)
		assert.Equal(t, []string{"a", "b", "c"}, topics)
		assert.Empty(t, readAll(t, l, "a", 0, 0))
		kept, err := l.Kept(ctx, "a")
		require.NoError(t, err)
		assert.Empty(t, kept)
		assert.EqualValues(t, 0, put(t, l, "a", 0, "new")[0].Offset)
	})
}

func TestReopen(t *testing.T) {
	t.Parallel()
	for _, noSync := range []bool{false, true} {
		cfg := Config{Dir: t.TempDir(), NoSync: noSync}
		l := open(t, cfg, "a")
		stored := put(t, l, "a", 3, names(0, 100)...)
		require.NoError(t, l.Close())
		cfg.ReadOnly = true
		l = open(t, cfg)
		assert.Equal(t, stored, readAll(t, l, "a", 3, 0))
		assert.ErrorIs(t, l.Append(t.Context(), infra.Batch{Records: stored}), ErrReadOnly)
		require.NoError(t, l.Close())
		cfg.ReadOnly = false
		l = open(t, cfg)
		assert.EqualValues(t, 100, put(t, l, "a", 3, "next")[0].Offset)
		require.NoError(t, l.Close())
	}
}

func TestCloseWhileAppending(t *testing.T) {
	both(t, func(t *testing.T, cfg Config) {
		l := open(t, cfg, "a")
		var running sync.WaitGroup
		var mu sync.Mutex
		stored := 0
		first := make(chan struct{})
		var once sync.Once
		for range 8 {
			running.Go(func() {
				for {
					err := l.Append(t.Context(), infra.Batch{Records: []*infra.Record{record("a", 0, "x")}})
					if err != nil {
						assert.ErrorIs(t, err, ErrClosed)
						return
					}
					mu.Lock()
					stored++
					mu.Unlock()
					once.Do(func() { close(first) })
				}
			})
		}
		<-first
		require.NoError(t, l.Close())
		running.Wait()
		if cfg.Dir != "" {
			l = open(t, cfg)
			assert.Len(t, readAll(t, l, "a", 0, 0), stored)
		}
	})
}

// While nothing can be stored every call says why. What is under way is answered,
// and stored all the same.
func TestBlock(t *testing.T) {
	both(t, func(t *testing.T, cfg Config) {
		l := open(t, cfg, "a")
		full := errors.New("full")
		l.block(full)
		assert.ErrorIs(t, l.Append(t.Context(), infra.Batch{Records: []*infra.Record{record("a", 0, "x")}}), full)
		assert.ErrorIs(t, l.Ping(t.Context()), full)
		assert.Empty(t, readAll(t, l, "a", 0, 0))
		l.unblock()
		put(t, l, "a", 0, "y")
		assert.Equal(t, []string{"y"}, values(readAll(t, l, "a", 0, 0)))
	})
}
