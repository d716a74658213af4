package brokertest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

func (e *logEnv) limits() {
	l := e.log.Limits()
	assert.GreaterOrEqual(e, l.RecordBytes, 1<<20)
	assert.GreaterOrEqual(e, l.ProgressBytes, 1<<10)
	big := record(0, strings.Repeat("x", 1<<20-64))
	e.append(big)
	got := e.rest(e.open(0, 0))
	require.Len(e, got, 1)
	assert.True(e, bytes.Equal(big.Value, got[0].Value))
}

func (e *logEnv) topics() {
	ctx := e.Context()
	names := func() []string {
		e.Helper()
		names, err := e.log.Topics(ctx)
		require.NoError(e, err)
		return names
	}
	assert.Equal(e, []string{topic}, names())
	e.append(record(0, "a"))
	require.NoError(e, e.log.CreateTopics(ctx, infra.Topic{Name: "poison.b", Keep: true}, infra.Topic{Name: topic}, infra.Topic{Name: "dest.a"}))
	require.NoError(e, e.log.CreateTopics(ctx))
	assert.Equal(e, []string{"dest.a", topic, "poison.b"}, names())
	assert.EqualValues(e, 1, e.bounds(0).End, "nothing was emptied")
	for p := range int32(e.opts.Partitions) {
		assert.Zero(e, e.bounds(p).Oldest)
	}
	require.NoError(e, e.log.DeleteTopics(ctx, "dest.a", "nothing", "poison.b"))
	e.eventually("they are gone", func() bool { return len(names()) == 1 })
	_, err := e.log.Bounds(ctx, "dest.a", time.Time{})
	require.ErrorIs(e, err, infra.ErrNoTopic)
}

// topicsAgain: a topic that was deleted and created again has nothing of the old one.
func (e *logEnv) topicsAgain() {
	ctx := e.Context()
	e.fill(0, 0, 3)
	require.NoError(e, e.log.Append(ctx, infra.Batch{Progress: []infra.Progressed{{Group: group, Topic: topic, Position: infra.Position{Next: 2}}}}))
	e.eventually("progress", func() bool { return e.kept(group, 0).Next == 2 })
	require.NoError(e, e.log.DeleteTopics(ctx, topic))
	e.eventually("it is made anew, and empty", func() bool {
		if err := e.log.CreateTopics(ctx, infra.Topic{Name: topic}); err != nil {
			return false
		}
		all, err := e.log.Bounds(ctx, topic, time.Time{})
		return err == nil && all[0].End == 0
	})
	assert.Zero(e, e.kept(group, 0))
	e.append(record(0, "new"))
	assert.Equal(e, []string{"new"}, values(e.rest(e.open(0, 0))))
}

// appendAndRead: every byte is read back, with the log's offset and time.
func (e *logEnv) appendAndRead() {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	began := time.Now()
	sent := []*infra.Record{
		{Topic: topic, Partition: 1, Key: []byte("u1"), Value: []byte("v"), Headers: []infra.Header{{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("a"), Value: []byte("2")}, {Key: []byte("b")}}},
		{Topic: topic, Partition: 1, Offset: 77, Time: began.Add(-time.Hour), Value: all, Headers: []infra.Header{{Key: all, Value: all}}},
		{Topic: topic, Partition: 1, Key: all},
	}
	e.append(sent...)
	for i, r := range sent {
		assert.EqualValues(e, i, r.Offset)
		assert.WithinDuration(e, began, r.Time, time.Minute)
	}
	got := e.rest(e.open(1, 0))
	require.Len(e, got, len(sent))
	for i, want := range sent {
		assert.Equal(e, topic, got[i].Topic)
		assert.EqualValues(e, 1, got[i].Partition)
		assert.EqualValues(e, i, got[i].Offset)
		assert.WithinDuration(e, want.Time, got[i].Time, time.Millisecond)
		assert.True(e, bytes.Equal(want.Key, got[i].Key))
		assert.True(e, bytes.Equal(want.Value, got[i].Value))
		require.Len(e, got[i].Headers, len(want.Headers))
		for j, h := range want.Headers {
			assert.True(e, bytes.Equal(h.Key, got[i].Headers[j].Key) && bytes.Equal(h.Value, got[i].Headers[j].Value))
		}
	}
	assert.Empty(e, e.rest(e.open(0, 0)))
}

// appendOrder: offsets have no gaps, a batch keeps its order, earlier batches have lower
// offsets, and time never goes back.
func (e *logEnv) appendOrder() {
	const writers, batches = 6, 20
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			last := int64(-1)
			for b := range batches {
				recs := []*infra.Record{record(0, fmt.Sprint(w, " ", 2*b)), record(1, "x"), record(0, fmt.Sprint(w, " ", 2*b+1))}
				d := []infra.Durability{infra.Durable, infra.Step}[b%2]
				if err := e.log.Append(e.Context(), infra.Batch{Records: recs, Durability: d}); err != nil {
					e.Error(err)
					return
				}
				assert.Greater(e, recs[0].Offset, last)
				assert.Greater(e, recs[2].Offset, recs[0].Offset)
				last = recs[2].Offset
			}
		})
	}
	all.Wait()
	got := e.rest(e.open(0, 0))
	require.Len(e, got, 2*writers*batches)
	next := map[int]int{}
	for i, r := range got {
		assert.EqualValues(e, i, r.Offset)
		if i > 0 {
			assert.False(e, r.Time.Before(got[i-1].Time))
		}
		var w, n int
		_, err := fmt.Sscan(string(r.Value), &w, &n)
		require.NoError(e, err)
		assert.Equal(e, next[w], n, "of writer %d", w)
		next[w]++
	}
	assert.Len(e, e.rest(e.open(1, 0)), writers*batches)
}

// appendUnknown: the caller learns which records of a batch were stored.
func (e *logEnv) appendUnknown() {
	lost := &infra.Record{Topic: "nowhere", Value: []byte("x")}
	err := e.log.Append(e.Context(), infra.Batch{Records: []*infra.Record{lost}})
	require.ErrorIs(e, err, infra.ErrNoTopic)
	err = e.log.Append(e.Context(), infra.Batch{Records: []*infra.Record{record(0, "a"), lost}})
	require.ErrorIs(e, err, infra.ErrNoTopic)
	var some *infra.AppendError
	want := []string{}
	if errors.As(err, &some) {
		assert.Equal(e, []int{1}, some.Failed)
		want = []string{"a"}
	}
	assert.Equal(e, want, values(e.rest(e.open(0, 0))))
	_, err = e.log.Open(e.Context(), "nowhere", 0, 0)
	require.ErrorIs(e, err, infra.ErrNoTopic)
	_, err = e.log.Open(e.Context(), topic, int32(e.opts.Partitions), 0)
	require.Error(e, err)
}

// appendRefused: records behind a refused one in its partition count as failed, so that
// appending the failed ones again keeps the order.
func (e *logEnv) appendRefused() {
	if e.opts.Refuse == nil {
		e.Skip("this log refuses no partition")
	}
	const count = 5
	var recs []*infra.Record
	for i := range count { // too much for one request
		recs = append(recs, record(0, fmt.Sprint(i)+strings.Repeat("x", e.log.Limits().RecordBytes*3/4)), record(1, fmt.Sprint(i)))
	}
	e.opts.Refuse(e.T, e.log, topic, 0)
	var some *infra.AppendError
	require.ErrorAs(e, e.log.Append(e.Context(), infra.Batch{Records: recs}), &some)
	var want []int
	for i := some.Failed[0]; i < 2*count; i += 2 {
		want = append(want, i)
	}
	assert.Equal(e, want, some.Failed)
	assert.Zero(e, some.Failed[0]%2)
	assert.Equal(e, []string{"0", "1", "2", "3", "4"}, values(e.rest(e.open(1, 0))))
	var again []*infra.Record
	for _, i := range some.Failed {
		again = append(again, recs[i])
	}
	e.append(again...)
	all := e.rest(e.open(0, 0))
	for i, r := range all[len(all)-len(again):] {
		assert.Equal(e, again[i].Value[0], r.Value[0], "record %d from the end", len(again)-i)
	}
}

// appendProgress: the progress of a batch is like that of a Keep, and is stored with its
// records.
func (e *logEnv) appendProgress() {
	text := strings.Repeat("a", e.log.Limits().ProgressBytes)
	require.NoError(e, e.log.Append(e.Context(), infra.Batch{
		Records:    []*infra.Record{record(0, "out")},
		Progress:   []infra.Progressed{{Group: group, Topic: topic, Partition: 1, Position: infra.Position{Next: 5, Text: text}}, {Group: "b", Topic: topic, Position: infra.Position{Next: 1}}},
		Durability: infra.Step,
	}))
	e.eventually("it is kept", func() bool {
		return e.kept(group, 1) == infra.Position{Next: 5, Text: text} && e.kept("b", 0).Next == 1
	})
	assert.EqualValues(e, 1, e.bounds(0).End)
}

func (e *logEnv) cursor() {
	e.fill(0, 0, 10)
	c := e.open(0, 3)
	var got []*infra.Record
	for len(got) < 7 {
		recs, err := c.Read(e.Context(), 1)
		require.NoError(e, err)
		require.NotEmpty(e, recs, "at least one where there is one")
		got = append(got, recs...)
	}
	assert.Equal(e, numbers(3, 7), values(got))
	recs, err := c.Read(e.Context(), 1)
	require.NoError(e, err)
	assert.Empty(e, recs)
	assert.Equal(e, numbers(0, 10), values(e.rest(e.open(0, -1))), "another cursor is another place")
	e.fill(0, 10, 1000)
	recs, err = c.Read(e.Context(), 100)
	require.NoError(e, err)
	assert.NotEmpty(e, recs)
	assert.Less(e, len(recs), 1000, "about maxBytes")
	assert.Len(e, append(recs, e.rest(c)...), 1000)
	ahead := e.open(0, 1015)
	assert.Empty(e, e.rest(ahead))
	e.fill(0, 1010, 10)
	assert.Equal(e, numbers(1015, 5), values(e.rest(ahead)))
}

// cursorFollows: More signals every record that comes after a Read that returned none.
func (e *logEnv) cursorFollows() {
	const total = 500
	c := e.open(1, 0)
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := range total {
			e.append(record(1, fmt.Sprint(i)))
		}
	})
	var got []*infra.Record
	for len(got) < total {
		recs, err := c.Read(e.Context(), 1<<20)
		require.NoError(e, err)
		if got = append(got, recs...); len(recs) > 0 {
			continue
		}
		select {
		case <-c.More():
		case <-time.After(e.opts.Timeout):
			require.FailNow(e, "More told of nothing", "%d of %d", len(got), total)
		}
	}
	writing.Wait()
	assert.Equal(e, numbers(0, total), values(got))
}

func (e *logEnv) boundsSince() {
	e.fill(0, 0, 3)
	first := e.rest(e.open(0, 0))
	last := first[2].Time
	e.eventually("time passes", func() bool { return time.Now().After(last.Add(2 * time.Millisecond)) })
	between := time.Now()
	e.fill(0, 3, 2)
	at := func(since time.Time) infra.Bounds {
		e.Helper()
		all, err := e.log.Bounds(e.Context(), topic, since)
		require.NoError(e, err)
		return all[0]
	}
	assert.Equal(e, infra.Bounds{Oldest: 0, At: 0, End: 5}, at(time.Time{}))
	assert.Equal(e, infra.Bounds{Oldest: 0, At: 3, End: 5}, at(between))
	assert.Equal(e, infra.Bounds{Oldest: 0, At: 0, End: 5}, at(between.Add(-time.Hour)))
	assert.Equal(e, infra.Bounds{Oldest: 0, At: 5, End: 5}, at(between.Add(time.Hour)))
	for _, ms := range []int64{0, -1, -2, -1 << 40} { // in Kafka's requests some of them mean other things
		assert.Zero(e, at(time.UnixMilli(ms)).At)
	}
}

func (e *logEnv) trim() {
	ctx := e.Context()
	e.fill(0, 0, 10)
	e.fill(1, 0, 3)
	require.NoError(e, e.log.Trim(ctx, topic, map[int32]int64{0: 4}))
	assert.Equal(e, infra.Bounds{Oldest: 4, At: 4, End: 10}, e.bounds(0))
	assert.Equal(e, infra.Bounds{End: 3}, e.bounds(1))
	require.NoError(e, e.log.Trim(ctx, topic, map[int32]int64{0: 2, 1: 0}), "it is done already")
	assert.EqualValues(e, 4, e.bounds(0).Oldest)
	assert.Equal(e, numbers(4, 6), values(e.rest(e.open(0, 0))), "a cursor below the oldest begins there")
	require.NoError(e, e.log.Trim(ctx, topic, map[int32]int64{0: 10, 1: 3}))
	assert.Equal(e, infra.Bounds{Oldest: 10, At: 10, End: 10}, e.bounds(0), "the end never goes back")
	e.fill(0, 10, 1)
	e.append(record(1, "x"))
	assert.Equal(e, infra.Bounds{Oldest: 10, At: 10, End: 11}, e.bounds(0))
	assert.EqualValues(e, 4, e.bounds(1).End)
	require.ErrorIs(e, e.log.Trim(ctx, "nowhere", map[int32]int64{0: 1}), infra.ErrNoTopic)
	o := e.join("new")
	for p, c := range o.all() {
		assert.Equal(e, e.bounds(p).Oldest, c.Position.Next, "a group that is new begins at the oldest record")
	}
}

// trimUnderCursor: trimmed records are skipped without an error.
func (e *logEnv) trimUnderCursor() {
	e.fill(0, 0, 100)
	c := e.open(0, 0)
	recs, err := c.Read(e.Context(), 1)
	require.NoError(e, err)
	require.NotEmpty(e, recs)
	e.fill(0, 100, 1)
	require.NoError(e, e.log.Trim(e.Context(), topic, map[int32]int64{0: 95}))
	last := recs[len(recs)-1].Offset
	for _, r := range e.rest(c) {
		assert.Greater(e, r.Offset, last)
		last = r.Offset
	}
	assert.EqualValues(e, 100, last)
}
