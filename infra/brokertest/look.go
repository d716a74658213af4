package brokertest

import (
	"context"
	"errors"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// read scans every partition from what begin makes of its bounds to its end.
func (e *env) read(since time.Time, begin func(infra.Bounds) int64) map[string][]string {
	e.Helper()
	r := e.broker
	bounds, err := r.Bounds(e.Context(), topic, since)
	require.NoError(e, err)
	require.Len(e, bounds, e.opts.Partitions)
	ranges := map[int32]infra.Range{}
	for p, b := range bounds {
		ranges[p] = infra.Range{From: begin(b), To: b.End}
	}
	got := map[string][]string{}
	require.NoError(e, r.Scan(e.Context(), topic, ranges, func(m *message.Message, at time.Time) error {
		assert.WithinDuration(e, time.Now(), at, time.Minute)
		key := m.Metadata.Get(infra.MetaKey)
		place, err := r.Place(e.Context(), topic, key)
		require.NoError(e, err)
		assert.Equal(e, place, infra.Partition(m))
		got[key] = append(got[key], string(m.Payload))
		return nil
	}))
	return got
}

// reader: topics can be read beside the groups without an effect on them.
func (e *env) reader() {
	oldest := func(b infra.Bounds) int64 { return b.Oldest }
	at := func(b infra.Bounds) int64 { return b.At }
	assert.Empty(e, e.read(time.Time{}, oldest))
	e.publish("a", 0, 3)
	e.publish("b", 3, 2)
	want := map[string][]string{"a": {"0", "1", "2"}, "b": {"3", "4"}}
	assert.Equal(e, want, e.read(time.Time{}, oldest))
	assert.Equal(e, want, e.read(time.Time{}, at), "no time is the beginning")
	assert.Equal(e, want, e.read(time.Now().Add(-time.Hour), at))
	for _, ms := range []int64{0, -1, -2, -1 << 40} { // in Kafka's requests some of them mean other things, or nothing
		assert.Equal(e, want, e.read(time.UnixMilli(ms), at), "%d ms", ms)
	}
	assert.Empty(e, e.read(time.Now().Add(time.Hour), at))
	assert.EqualValues(e, 5, e.lagOf(group))

	r := e.broker
	_, err := r.Bounds(e.Context(), "nowhere", time.Time{})
	require.ErrorIs(e, err, infra.ErrNoTopic)
	place, err := r.Place(e.Context(), topic, "a")
	require.NoError(e, err)
	stop := errors.New("stop")
	var got []string
	follow := map[int32]infra.Range{place: {From: 1, To: infra.Forever}}
	err = r.Scan(e.Context(), topic, follow, func(m *message.Message, _ time.Time) error {
		if got = append(got, string(m.Payload)); string(m.Payload) == "2" {
			e.publish("a", 5, 1)
		}
		if string(m.Payload) == "5" {
			return stop
		}
		return nil
	})
	require.ErrorIs(e, err, stop)
	assert.Contains(e, got, "5", "a range without end is followed")
	assert.NotContains(e, got, "0")
	ctx, cancel := context.WithCancel(e.Context())
	cancel()
	require.ErrorIs(e, r.Scan(ctx, topic, follow, func(*message.Message, time.Time) error { return nil }), context.Canceled)
}

// progress tells what is done, also above what is not.
func (e *env) progress() {
	g := e.broker
	e.publish("u", 0, 6)
	members, err := g.Members(e.Context(), group)
	require.NoError(e, err)
	assert.Empty(e, members)
	place, err := e.broker.Place(e.Context(), topic, "u")
	require.NoError(e, err)
	_, in := e.subscribe(group)
	msgs := e.take(in, 6)
	for _, i := range []int{0, 2, 3, 5} {
		msgs[i].Ack()
	}
	e.eventually("commits", func() bool { return e.lagOf(group) == 2 })
	all, err := infra.ProgressOf(e.Context(), g, group, topic)
	require.NoError(e, err)
	require.Len(e, all, e.opts.Partitions)
	p := all[place]
	assert.Equal(e, infra.Progress{Next: 1, End: 6, Above: []infra.Span{{From: 2, To: 4}, {From: 5, To: 6}}}, p)
	for offset, done := range []bool{true, false, true, true, false, true, false} {
		assert.Equal(e, done, p.Done(int64(offset)), "offset %d", offset)
	}
	e.eventually("all partitions are taken up, each in its own time", func() bool {
		members, err = g.Members(e.Context(), group)
		return err == nil && len(members) == 1 && len(members[0].Partitions[topic]) == e.opts.Partitions
	})
	assert.NotEmpty(e, members[0].Client)
	assert.NotEmpty(e, members[0].Host)
	many := g.Progress(e.Context(), infra.GroupTopic{Group: group, Topic: "nowhere"}, infra.GroupTopic{Group: "nobody", Topic: topic}, infra.GroupTopic{Group: group, Topic: topic})
	require.Len(e, many, 3)
	require.ErrorIs(e, many[0].Err, infra.ErrNoTopic)
	require.NoError(e, many[1].Err)
	assert.EqualValues(e, 6, infra.Lag(many[1].Partitions))
	assert.Equal(e, infra.GroupProgress{Partitions: all}, many[2])
}

// reset sets a group back that nobody reads in, and no other.
func (e *env) reset() {
	g := e.broker
	e.publish("u", 0, 6)
	place, err := e.broker.Place(e.Context(), topic, "u")
	require.NoError(e, err)
	s, in := e.subscribe(group)
	for _, m := range e.take(in, 6) {
		m.Ack()
	}
	e.eventually("commits", func() bool { return e.lagOf(group) == 0 })
	require.ErrorIs(e, g.Reset(e.Context(), group, topic, map[int32]int64{place: 2}), infra.ErrGroupBusy)
	assert.Zero(e, e.lagOf(group))
	require.NoError(e, s.Close())
	e.eventually("an empty group", func() bool {
		err := g.Reset(e.Context(), group, topic, map[int32]int64{place: 2})
		if err != nil {
			require.ErrorIs(e, err, infra.ErrGroupBusy)
		}
		return err == nil
	})
	assert.EqualValues(e, 4, e.lagOf(group))
	assert.EqualValues(e, 6, e.lagOf("another"))
	if e.opts.Reopen != nil {
		e.broker = e.opts.Reopen(e.T, e.broker)
		assert.EqualValues(e, 4, e.lagOf(group), "after a restart")
	}
	_, in = e.subscribe(group)
	assert.Equal(e, []string{"2", "3", "4", "5"}, payloads(e.take(in, 4)))
}
