package brokertest

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// runMost bounds the runs of these tests.
const runMost = 4

func (e *env) runner() (infra.Subscriber, <-chan *message.Message) {
	e.Helper()
	return e.runnerOf(group, infra.Only{})
}

func (e *env) runnerOf(group string, only infra.Only) (infra.Subscriber, <-chan *message.Message) {
	e.Helper()
	s := e.subscriberWith(group, infra.SubscriberConfig{Runs: infra.Runs{Messages: runMost, Bytes: 1 << 20}, Only: only})
	in, err := s.Subscribe(context.Background(), topic)
	require.NoError(e, err)
	return s, in
}

// runPart is a run, and the part of it that a test is about.
type runPart struct {
	*infra.Run
	*infra.Part
}

// run is the next run, which has one part, with what is in it.
func (e *env) run(in <-chan *message.Message) (*message.Message, runPart, []string) {
	e.Helper()
	m, run := e.parts(in)
	require.Len(e, run.Parts, 1)
	return m, runPart{run, run.Parts[0]}, payloads(run.Parts[0].Messages)
}

// parts is the next run.
func (e *env) parts(in <-chan *message.Message) (*message.Message, *infra.Run) {
	e.Helper()
	m := e.receive(in)
	run := infra.RunOf(m)
	require.NotNil(e, run, "a message without a run")
	for _, p := range run.Parts {
		require.NotEmpty(e, p.Messages)
		require.LessOrEqual(e, len(p.Messages), runMost)
	}
	return m, run
}

const outputTopic = "made"

// outputs are records of what a run has, for a topic of their own.
func outputs(part *infra.Part) (out []infra.Output) {
	for _, m := range part.Messages {
		o := newMessage(m.Metadata.Get(infra.MetaKey), "of "+string(m.Payload))
		out = append(out, infra.Output{Part: part, Topic: outputTopic, Message: o})
	}
	return out
}

// outputMessages subscribes to the outputs of runs.
func (e *env) outputMessages() <-chan *message.Message {
	e.Helper()
	out, err := e.subscriber("reader").Subscribe(context.Background(), outputTopic)
	require.NoError(e, err)
	return out
}

// runs: runs of a partition come in order, one at a time. Their output is in the partition
// of the same number, and their progress is kept.
func (e *env) runs() {
	require.NoError(e, e.broker.EnsureTopics(e.Context(), infra.Topic{Name: outputTopic}))
	s, in := e.runner()
	const count = 3*runMost + 1
	e.publish("u", 0, count)
	var got []string
	place := int32(-1)
	for len(got) < count {
		m, run, has := e.run(in)
		for i, one := range run.Messages {
			assert.Nil(e, infra.RunOf(one))
			assert.Equal(e, "u", one.Metadata.Get(infra.MetaKey))
			assert.EqualValues(e, len(got)+i, infra.Offset(one))
			assert.Equal(e, run.Partition, infra.Partition(one))
		}
		assert.Equal(e, len(run.Messages), s.Stats().Messages)
		e.quiet(in) // before it is acked
		got, place = append(got, has...), run.Partition
		require.NoError(e, run.Store(outputs(run.Part), run.Part))
		m.Ack()
	}
	for i, payload := range got {
		assert.Equal(e, strconv.Itoa(i), payload)
	}
	e.eventually("all is done", func() bool { return e.lagOf(group) == 0 })
	out := e.outputMessages()
	for i := range count {
		m := e.receive(out)
		assert.Equal(e, "of "+strconv.Itoa(i), string(m.Payload))
		assert.Equal(e, place, infra.Partition(m))
		m.Ack()
	}
}

// runsRepeated: after a Nack or the end of the claim a run is handed out again. Messages
// without output are done when it is acked.
func (e *env) runsRepeated() {
	s, in := e.runner()
	e.publish("u", 0, 2)
	m, _, first := e.run(in)
	m.Nack()
	m, _, again := e.run(in)
	assert.Equal(e, first, again)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	e.cancelled(m)
	m.Nack()
	e.within("Close", func() error { return <-closed })

	s, in = e.runner()
	var all []string
	for len(all) < 2 {
		m, _, has := e.run(in)
		all = append(all, has...)
		m.Ack()
	}
	assert.Equal(e, []string{"0", "1"}, all)
	e.eventually("all is done", func() bool { return e.lagOf(group) == 0 })
	e.within("Close", s.Close)
	e.publish("u", 2, 1)
	_, in = e.runner()
	_, _, has := e.run(in)
	assert.Equal(e, []string{"2"}, has)
}

// runsStored: where the broker stores both or neither, messages with stored output are
// done, also when the run was not acked.
func (e *env) runsStored() {
	require.NoError(e, e.broker.EnsureTopics(e.Context(), infra.Topic{Name: outputTopic}))
	s, in := e.runner()
	if !e.opts.Whole {
		e.Skip("records and progress are stored one after the other")
	}
	e.publish("u", 0, 1)
	_, run, _ := e.run(in)
	require.NoError(e, run.Store(outputs(run.Part), run.Part))
	assert.Zero(e, e.lagOf(group))
	e.within("Close, without a word of the handler's", s.Close)
	require.Error(e, run.Store(outputs(run.Part), run.Part), "the claim has ended")
	e.publish("u", 1, 1)
	_, in = e.runner()
	_, _, has := e.run(in)
	assert.Equal(e, []string{"1"}, has)
}

// runsRefused: an output that is too large is named by the error, and the others can be
// stored.
func (e *env) runsRefused() {
	require.NoError(e, e.broker.EnsureTopics(e.Context(), infra.Topic{Name: outputTopic}))
	_, in := e.runner()
	e.publish("u", 0, 1)
	m, run, _ := e.run(in)
	large := infra.Output{Part: run.Part, Topic: outputTopic, Message: newMessage("u", strings.Repeat("x", e.opts.MaxMessageBytes+1))}
	require.ErrorIs(e, run.Store([]infra.Output{large}, run.Part), infra.ErrTooLarge)
	missing := infra.Output{Part: run.Part, Topic: "nowhere", Message: newMessage("u", "x")}
	require.ErrorIs(e, run.Store([]infra.Output{missing}, run.Part), infra.ErrNoTopic)
	assert.EqualValues(e, 1, e.lagOf(group))
	require.NoError(e, run.Store(outputs(run.Part), run.Part))
	m.Ack()
	assert.Equal(e, "of 0", string(e.receive(e.outputMessages()).Payload))
}

// runsDrain: a subscriber that drains waits for its runs and hands out no more.
func (e *env) runsDrain() {
	s, in := e.runner()
	e.publish("u", 0, 1)
	m, _, _ := e.run(in)
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(context.Background()) }()
	e.publish("u", 1, 1)
	e.quiet(in)
	select {
	case err := <-drained:
		require.FailNow(e, "Drain did not wait for the run", "%v", err)
	default:
	}
	m.Ack()
	e.within("Drain", func() error { return <-drained })
	e.quiet(in)
	e.within("Close", s.Close)
	_, in = e.runner()
	_, _, has := e.run(in)
	assert.Equal(e, []string{"1"}, has)
}

// runsOfPartitions: messages that come while a run is in the handler go into the next one.
// A part that does not end holds up its own partition alone.
func (e *env) runsOfPartitions() {
	require.NoError(e, e.broker.EnsureTopics(e.Context(), infra.Topic{Name: outputTopic}))
	_, in := e.runner()
	e.publish("first", 0, 1)
	held, run := e.parts(in)
	require.Len(e, run.Parts, 1)
	stuck := run.Parts[0].Partition
	const users = 32
	for i := range users {
		e.publish("user"+strconv.Itoa(i), 0, 1)
	}
	e.quiet(in)
	run.Aside()
	for len(e.unfinished(stuck)) > 0 {
		m, next := e.parts(in)
		for _, p := range next.Parts {
			require.NotEqual(e, stuck, p.Partition)
		}
		for i, p := range next.Parts {
			if i == 0 { // one is stored before the others
				require.NoError(e, next.Store(outputs(p), p))
			}
		}
		m.Ack()
		e.eventually("it is done", func() bool { return !e.has(next.Parts) })
	}
	held.Nack()
	m, again := e.parts(in)
	require.Len(e, again.Parts, 1)
	require.Equal(e, stuck, again.Parts[0].Partition)
	require.NoError(e, again.Store(outputs(again.Parts[0]), again.Parts[0]))
	m.Ack()
}

// unfinished are the partitions that are not done, but for one.
func (e *env) unfinished(without int32) (out []int32) {
	all, err := infra.ProgressOf(e.Context(), e.broker, group, topic)
	require.NoError(e, err)
	for n, p := range all {
		if n != without && p.Undone() > 0 {
			out = append(out, n)
		}
	}
	return out
}

// has reports whether the last messages of parts are not done.
func (e *env) has(parts []*infra.Part) bool {
	all, err := infra.ProgressOf(e.Context(), e.broker, group, topic)
	require.NoError(e, err)
	for _, p := range parts {
		if all[p.Partition].Next <= infra.Offset(p.Messages[len(p.Messages)-1]) {
			return true
		}
	}
	return false
}

// kindHeader says what only asks for.
const kindHeader = "kind"

func only(kind string) infra.Only {
	return infra.Only{Header: kindHeader, Match: func(value string) bool { return value == kind }}
}

// kinds stores messages of many users, of two kinds in turn.
func (e *env) kinds(count int) {
	e.Helper()
	for i := range count {
		m := newMessage("user"+strconv.Itoa(i%7), strconv.Itoa(i))
		m.Metadata.Set(kindHeader, []string{"even", "odd"}[i%2])
		require.NoError(e, e.broker.Publisher(infra.Durable).Publish(topic, m))
	}
}

// every acks runs until it has had count messages, and returns how often each came.
func (e *env) every(in <-chan *message.Message, count int) map[string]int {
	e.Helper()
	out := map[string]int{}
	for n := 0; n < count; {
		m, run := e.parts(in)
		for _, p := range run.Parts {
			n += len(p.Messages)
			for _, one := range p.Messages {
				out[string(one.Payload)]++
			}
		}
		m.Ack()
	}
	return out
}

func each(first, count, step int) map[string]int {
	out := map[string]int{}
	for i := range count {
		out[strconv.Itoa(first+i*step)] = 1
	}
	return out
}

// runsOnly: a group gets the messages that it wants, and the rest counts as done. The
// progress of both is kept when it leaves.
func (e *env) runsOnly() {
	const count = 60
	s, none := e.runnerOf("none", only("neither"))
	odd, in := e.runnerOf("odd", only("odd"))
	_, all := e.runnerOf("all", infra.Only{})
	e.kinds(count)
	assert.Equal(e, each(1, count/2, 2), e.every(in, count/2))
	assert.Equal(e, each(0, count, 1), e.every(all, count))
	e.quiet(none)
	for _, g := range []string{"none", "odd", "all"} {
		e.eventually("all is done", func() bool { return e.lagOf(g) == 0 })
	}
	e.within("Close", s.Close)
	e.within("Close", odd.Close)
	assert.Zero(e, e.lagOf("none"), "kept")
	assert.Zero(e, e.lagOf("odd"), "kept")
	e.kinds(count)
	assert.EqualValues(e, count, e.lagOf("odd"))
	_, in = e.runnerOf("odd", only("odd"))
	assert.Equal(e, each(1, count/2, 2), e.every(in, count/2))
	e.eventually("all is done", func() bool { return e.lagOf("odd") == 0 })
}

// runsSetBack: a group that is reset reads for itself until it has caught up, while others
// are at the end.
func (e *env) runsSetBack() {
	const count = 60
	_, all := e.runnerOf("all", infra.Only{})
	odd, in := e.runnerOf("odd", only("odd"))
	e.kinds(count)
	e.every(all, count)
	e.every(in, count/2)
	e.within("Close", odd.Close)
	bounds, err := e.broker.Bounds(e.Context(), topic, time.Time{})
	require.NoError(e, err)
	to := map[int32]int64{}
	for p, b := range bounds {
		to[p] = b.Oldest
	}
	require.NoError(e, e.broker.Leave(e.Context(), "odd"))
	require.NoError(e, e.broker.Reset(e.Context(), "odd", topic, to))
	_, in = e.runnerOf("odd", only("odd"))
	assert.Equal(e, each(1, count/2, 2), e.every(in, count/2))
	e.kinds(2)
	assert.Equal(e, each(1, 1, 1), e.every(in, 1))
	assert.Equal(e, each(0, 2, 1), e.every(all, 2))
	e.eventually("all is done", func() bool { return e.lagOf("odd") == 0 })
}
