package brokertest

import (
	"context"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

func (e *logEnv) keep() {
	e.fill(0, 0, 10)
	o := e.join(group)
	o.all()
	put := func(partition int32, p infra.Position) {
		e.Helper()
		require.NoError(e, e.log.Keep(e.Context(), infra.Progressed{Group: group, Topic: topic, Partition: partition, Position: p}))
		e.eventually("it is kept", func() bool { return e.kept(group, partition) == p })
	}
	put(0, infra.Position{Next: 3, Text: "p-1"})
	put(0, infra.Position{Next: 3, Text: "p-2"})
	put(0, infra.Position{Next: 3})
	put(1, infra.Position{Next: 0, Text: "note"})
	put(0, infra.Position{Next: 9, Text: "x"})
	for n := range int64(100) { // the last one wins
		require.NoError(e, e.log.Keep(e.Context(), infra.Progressed{Group: group, Topic: topic, Position: infra.Position{Next: n % 10, Text: "y"}}))
	}
	e.eventually("the last one", func() bool { return e.kept(group, 0) == infra.Position{Next: 9, Text: "y"} })
	all, err := e.log.Kept(e.Context(), topic)
	require.NoError(e, err)
	assert.Len(e, all, 1)
	assert.Len(e, all[group], 2, "partitions without progress are not there")
	_, err = e.log.Kept(e.Context(), "nowhere")
	require.ErrorIs(e, err, infra.ErrNoTopic)
	o.close()
	again := e.join(group)
	claims := again.all()
	assert.Equal(e, infra.Position{Next: 9, Text: "y"}, claims[0].Position)
	assert.Equal(e, infra.Position{Next: 0, Text: "note"}, claims[1].Position)
}

func (e *logEnv) claims() {
	o := e.join(group)
	for _, c := range o.all() {
		assert.NoError(e, c.Context.Err())
		assert.Zero(e, c.Position)
	}
	e.eventually("the member has joined", o.member.Assigned)
	members, err := e.log.Members(e.Context(), group)
	require.NoError(e, err)
	require.Len(e, members, 1)
	assert.Len(e, members[0].Partitions[topic], e.opts.Partitions)
	assert.NotEmpty(e, members[0].Client)
	o.close()
	o.close()
	require.NoError(e, e.log.Leave(e.Context(), group))
	e.eventually("nobody is left", func() bool {
		members, err := e.log.Members(e.Context(), group)
		return err == nil && len(members) == 0
	})
	_, err = e.log.Join(e.Context(), group, "nowhere", func(infra.Claim) {})
	require.ErrorIs(e, err, infra.ErrNoTopic)
}

// claimsHeld: a held partition is given up when its owner calls giveUp, and not when own
// returns. The membership ends when all are given up.
func (e *logEnv) claimsHeld() {
	given := make(chan infra.Claim, 1000)
	giveUp := make(chan func(), 1000)
	m, err := e.log.Join(e.Context(), group, topic, func(c infra.Claim) {
		giveUp <- c.Hold()
		given <- c
	})
	require.NoError(e, err)
	has := map[int32]infra.Claim{}
	for len(has) < e.opts.Partitions {
		select {
		case c := <-given:
			require.NotContains(e, has, c.Partition, "given twice at a time")
			require.NoError(e, c.Context.Err())
			has[c.Partition] = c
		case <-time.After(e.opts.Timeout):
			require.FailNow(e, "no partition in time")
		}
	}
	closed := make(chan error, 1)
	go func() { closed <- m.Close() }()
	for _, c := range has {
		<-c.Context.Done()
		select {
		case err := <-closed:
			require.FailNow(e, "the membership ended with a partition that is held", "%v", err)
		default:
		}
		(<-giveUp)()
	}
	e.within("Close", func() { assert.NoError(e, <-closed) })
}

// claimsMove: a partition is given up when own has returned, and no other member has it
// before. The next owner finds the progress of the last one.
func (e *logEnv) claimsMove() {
	e.fill(0, 0, 100)
	e.fill(1, 0, 100)
	type owned struct {
		claim  infra.Claim
		letGo  chan struct{}
		member int
	}
	given := make(chan owned, 1000)
	join := func(n int) infra.Membership {
		m, err := e.log.Join(e.Context(), group, topic, func(c infra.Claim) {
			o := owned{c, make(chan struct{}), n}
			given <- o
			<-c.Context.Done()
			<-o.letGo
		})
		require.NoError(e, err)
		return m
	}
	next := func() owned {
		e.Helper()
		select {
		case o := <-given:
			return o
		case <-time.After(e.opts.Timeout):
			require.FailNow(e, "no partition in time")
			return owned{}
		}
	}
	first := join(1)
	has := map[int32]owned{}
	for range e.opts.Partitions {
		o := next()
		has[o.claim.Partition] = o
	}
	second := join(2)
	var moving []owned
	e.eventually("some are asked back", func() bool {
		for p, o := range has {
			if o.claim.Context.Err() != nil {
				moving = append(moving, o)
				delete(has, p)
			}
		}
		return len(moving) > 0
	})
	select {
	case o := <-given:
		require.FailNow(e, "a partition has two owners", "%d", o.claim.Partition)
	default:
	}
	for _, o := range moving {
		require.NoError(e, e.log.Keep(e.Context(), infra.Progressed{Group: group, Topic: topic, Partition: o.claim.Partition, Position: infra.Position{Next: 7, Text: "moved"}}))
		close(o.letGo)
	}
	for fromSecond := 0; fromSecond == 0; { // some logs take all partitions back, some only those that move
		o := next()
		if had, twice := has[o.claim.Partition]; twice {
			require.Error(e, had.claim.Context.Err(), "partition %d has two owners", o.claim.Partition)
		}
		has[o.claim.Partition] = o
		if o.member == 2 {
			fromSecond++
			assert.Equal(e, infra.Position{Next: 7, Text: "moved"}, o.claim.Position)
		}
		for p, o := range has { // later rounds
			if o.claim.Context.Err() != nil {
				delete(has, p)
				close(o.letGo)
			}
		}
	}
	leaving := make(chan struct{})
	go func() {
		defer close(leaving)
		assert.NoError(e, first.Close())
		assert.NoError(e, second.Close())
	}()
	for done := false; !done; {
		for p, o := range has {
			if o.claim.Context.Err() != nil {
				delete(has, p)
				close(o.letGo)
			}
		}
		select {
		case o := <-given:
			has[o.claim.Partition] = o
		case <-leaving:
			done = true
		case <-time.After(time.Millisecond): // look again
		}
	}
}

func (e *logEnv) claimsOfTwo() {
	a, b := e.join("a"), e.join("b")
	a.all()
	b.all()
	require.NoError(e, e.log.Keep(e.Context(), infra.Progressed{Group: "a", Topic: topic, Position: infra.Position{Next: 4}}))
	e.eventually("it is kept", func() bool { return e.kept("a", 0).Next == 4 })
	assert.Zero(e, e.kept("b", 0))
	require.NoError(e, e.log.Keep(e.Context(), infra.Progressed{Group: "b", Topic: topic, Position: infra.Position{Next: 5}}))
	e.eventually("it is kept", func() bool { return e.kept("b", 0).Next == 5 })
	some, err := e.log.Kept(e.Context(), topic, "b", "nobody")
	require.NoError(e, err)
	assert.Equal(e, map[string]map[int32]infra.Position{"b": {0: {Next: 5}}}, some)
	a.close()
	assert.Equal(e, e.opts.Partitions, b.partitions(), "a group touches no other")
}

// look: a question about many groups and topics has an answer for each.
func (e *logEnv) look() {
	ctx := e.Context()
	assert.Empty(e, e.log.Look(ctx))
	require.NoError(e, e.log.CreateTopics(ctx, infra.Topic{Name: "other"}))
	e.fill(0, 0, 3)
	require.NoError(e, e.log.Reset(ctx, group, topic, map[int32]int64{0: 2}))
	require.NoError(e, e.log.Reset(ctx, "b", topic, map[int32]int64{0: 1}))
	bounds, err := e.log.Bounds(ctx, topic, time.Time{})
	require.NoError(e, err)
	empty, err := e.log.Bounds(ctx, "other", time.Time{})
	require.NoError(e, err)
	of := []infra.GroupTopic{{Group: group, Topic: topic}, {Group: group, Topic: "nowhere"}, {Group: "b", Topic: "other"}, {Group: "b", Topic: topic}, {Group: "nobody", Topic: topic}}
	all := e.log.Look(ctx, of...)
	require.Len(e, all, len(of))
	for i, want := range []struct {
		bounds map[int32]infra.Bounds
		kept   map[int32]infra.Position
	}{{bounds, map[int32]infra.Position{0: {Next: 2}}}, {}, {empty, nil}, {bounds, map[int32]infra.Position{0: {Next: 1}}}, {bounds, nil}} {
		if want.bounds == nil {
			require.ErrorIs(e, all[i].Err, infra.ErrNoTopic)
			continue
		}
		require.NoError(e, all[i].Err)
		assert.Equal(e, want.bounds, all[i].Bounds, "%v", of[i])
		assert.Len(e, all[i].Kept, len(want.kept), "%v", of[i])
		for p, at := range want.kept {
			assert.Equal(e, at, all[i].Kept[p], "%v", of[i])
		}
	}
	ended, end := context.WithCancel(ctx)
	end()
	for _, one := range e.log.Look(ended, of...) {
		require.Error(e, one.Err)
	}
}

func (e *logEnv) reset() {
	ctx := e.Context()
	e.fill(0, 0, 10)
	o := e.join(group)
	o.all()
	require.NoError(e, e.log.Keep(ctx, infra.Progressed{Group: group, Topic: topic, Position: infra.Position{Next: 9, Text: "x"}},
		infra.Progressed{Group: group, Topic: topic, Partition: 1, Position: infra.Position{Next: 0, Text: "stays"}}))
	require.ErrorIs(e, e.log.Reset(ctx, group, topic, map[int32]int64{0: 2}), infra.ErrGroupBusy)
	e.eventually("nothing is changed", func() bool { return e.kept(group, 0) == infra.Position{Next: 9, Text: "x"} })
	o.close()
	require.NoError(e, e.log.Leave(ctx, group))
	e.eventually("the group is empty", func() bool { return e.log.Reset(ctx, group, topic, map[int32]int64{0: 2}) == nil })
	assert.Equal(e, infra.Position{Next: 2}, e.kept(group, 0))
	assert.Equal(e, "stays", e.kept(group, 1).Text)
	require.NoError(e, e.log.Reset(ctx, "new", topic, map[int32]int64{0: 1}))
	assert.EqualValues(e, 1, e.kept("new", 0).Next)
	if e.opts.Reopen != nil {
		e.log = e.opts.Reopen(e.T, e.log)
		assert.Equal(e, infra.Position{Next: 2}, e.kept(group, 0))
	}
	claims := e.join(group).all()
	assert.Equal(e, infra.Position{Next: 2}, claims[0].Position)
}

func (e *logEnv) deleteGroups() {
	ctx := e.Context()
	e.fill(0, 0, 10)
	for _, g := range []string{"a", "b", group} {
		require.NoError(e, e.log.Reset(ctx, g, topic, map[int32]int64{0: 3}))
	}
	o := e.join(group)
	o.all()
	require.ErrorIs(e, e.log.DeleteGroups(ctx, "a", group), infra.ErrGroupBusy)
	assert.EqualValues(e, 3, e.kept("a", 0).Next, "none is deleted")
	o.close()
	require.NoError(e, e.log.Leave(ctx, group))
	e.eventually("the group is empty", func() bool { return e.log.DeleteGroups(ctx, "a", "nothing", group) == nil })
	if e.opts.Reopen != nil {
		e.log = e.opts.Reopen(e.T, e.log)
	}
	all, err := e.log.Kept(ctx, topic)
	require.NoError(e, err)
	assert.NotContains(e, all, "a")
	assert.NotContains(e, all, group)
	assert.EqualValues(e, 3, all["b"][0].Next)
	assert.Zero(e, e.join(group).all()[0].Position, "it is as if it had never been")
}

func (e *logEnv) endedContext() {
	ctx, end := context.WithCancel(e.Context())
	c := e.open(0, 0)
	end()
	require.NoError(e, e.log.Ping(e.Context()))
	require.Error(e, e.log.Ping(ctx))
	_, err := e.log.Bounds(ctx, topic, time.Time{})
	require.Error(e, err)
	_, err = e.log.Kept(ctx, topic)
	require.Error(e, err)
	_, err = c.Read(ctx, 1)
	require.Error(e, err)
}

// closes: claims end before Close returns, and nothing works afterwards.
func (e *logEnv) closes() {
	o := e.join(group)
	o.all()
	c := e.open(0, 0)
	e.within("Close", func() { assert.NoError(e, e.log.Close()) })
	assert.Zero(e, o.partitions(), "claims end before it returns")
	require.NoError(e, e.log.Close())
	ctx := e.Context()
	require.Error(e, e.log.Ping(ctx))
	require.Error(e, e.log.Append(ctx, infra.Batch{Records: []*infra.Record{record(0, "late")}}))
	_, err := e.log.Open(ctx, topic, 0, 0)
	require.Error(e, err)
	_, err = c.Read(ctx, 1)
	require.Error(e, err)
	_, err = e.log.Join(ctx, group, topic, func(infra.Claim) {})
	require.Error(e, err)
	c.Close()
	require.NoError(e, o.member.Close())
}

// reopen: records, ends and progress outlive the log.
func (e *logEnv) reopen() {
	if e.opts.Reopen == nil {
		e.Skip("this log keeps nothing")
	}
	ctx := e.Context()
	e.fill(0, 0, 10)
	e.fill(1, 0, 5)
	require.NoError(e, e.log.Trim(ctx, topic, map[int32]int64{0: 10, 1: 2}))
	o := e.join(group)
	o.all()
	require.NoError(e, e.log.Append(ctx, infra.Batch{Records: []*infra.Record{record(1, "5")}, Durability: infra.Step}))
	require.NoError(e, e.log.Keep(ctx, infra.Progressed{Group: group, Topic: topic, Partition: 1, Position: infra.Position{Next: 4, Text: "x"}}))
	e.log = e.opts.Reopen(e.T, e.log)
	names, err := e.log.Topics(ctx)
	require.NoError(e, err)
	assert.Equal(e, []string{topic}, names)
	assert.Equal(e, infra.Bounds{Oldest: 10, At: 10, End: 10}, e.bounds(0))
	assert.Equal(e, infra.Bounds{Oldest: 2, At: 2, End: 6}, e.bounds(1))
	assert.Equal(e, numbers(2, 4), values(e.rest(e.open(1, 0))))
	assert.Equal(e, infra.Position{Next: 4, Text: "x"}, e.kept(group, 1))
	e.fill(0, 10, 1)
	assert.EqualValues(e, 11, e.bounds(0).End)
}
