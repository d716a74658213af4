package brokertest

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// Options describes the brokers under test.
type Options struct {
	Partitions      int // of each topic; at least 2
	Window          int // WindowMessages; small, such as 20
	MaxMessageBytes int // a message above it must be refused
	// Reopen closes b and returns a broker on the same data. Nil: nothing survives.
	Reopen func(t *testing.T, b infra.Broker) infra.Broker
	// Whole: the output of a run and its progress are stored both or neither, and
	// SubscriberConfig.Resume is never called.
	Whole bool
	// Timeout bounds each wait for something that must happen; default 30 s.
	Timeout time.Duration
}

// Opener opens a broker with no topics and no groups, and closes it when the test ends.
type Opener func(t *testing.T) infra.Broker

// Run tests the brokers that open returns. Each test has its own broker.
func Run(t *testing.T, open func(t *testing.T) infra.Broker, opts Options) {
	if opts.Timeout == 0 {
		opts.Timeout = 30 * time.Second
	}
	tests := []struct {
		name string
		run  func(*env)
	}{
		{"EnsureTopicsIsIdempotent", (*env).ensureTopics},
		{"RoundTrip", (*env).roundTrip},
		{"KeylessSpread", (*env).keylessSpread},
		{"KeyOrder", (*env).keyOrder},
		{"ManyUnackedAtOnce", (*env).manyUnacked},
		{"WindowBounds", (*env).window},
		{"WindowNeverLeaks", (*env).windowTurnover},
		{"BoundOfMessages", (*env).bound},
		{"OversizeMessage", (*env).oversize},
		{"PublishAfterClose", (*env).publishAfterClose},
		{"PublishWhileClosing", (*env).publishWhileClosing},
		{"TwoGroupsEachSeeAll", (*env).twoGroups},
		{"NewGroupSeesOldMessages", (*env).oldMessages},
		{"GroupSharesAndTakesOver", (*env).takeOver},
		{"RebalanceCancelsAndRepeatsNothingDone", (*env).rebalance},
		{"NackBringsTheSameMessage", (*env).nack},
		{"Receipts", (*env).receipts},
		{"GiveBack", (*env).givesBack},
		{"GiveBackAndStop", (*env).givesBackAndStops},
		{"ExactCommit", (*env).exactCommit},
		{"ExactCommitScattered", (*env).exactCommitScattered},
		{"ExactCommitTwice", (*env).exactCommitTwice},
		{"CommitWhileNobodyReads", (*env).commitWhileBlocked},
		{"CloseCancelsInFlight", (*env).closeCancels},
		{"CloseAnyTime", (*env).closeAnyTime},
		{"SubscribeContext", (*env).subscribeContext},
		{"AckCancelsContext", (*env).ackCancels},
		{"Drain", (*env).drain},
		{"LagIsExact", (*env).lag},
		{"Reader", (*env).reader},
		{"Progress", (*env).progress},
		{"Reset", (*env).reset},
		{"Resume", (*env).resume},
		{"Runs", (*env).runs},
		{"RunsAgain", (*env).runsRepeated},
		{"RunsStored", (*env).runsStored},
		{"RunsRefused", (*env).runsRefused},
		{"RunsDrain", (*env).runsDrain},
		{"RunsOfPartitions", (*env).runsOfPartitions},
		{"RunsOnly", (*env).runsOnly},
		{"RunsSetBack", (*env).runsSetBack},
		{"Delete", (*env).deletes},
		{"Ping", (*env).ping},
		{"Reopen", (*env).reopen},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(newEnv(t, open(t), opts))
		})
	}
}

// topic and group are the names that most tests use.
const topic, group = "events", "webhook"

// env is one test with its broker.
type env struct {
	*testing.T
	opts   Options
	broker infra.Broker
}

func newEnv(t *testing.T, b infra.Broker, opts Options) *env {
	e := &env{T: t, opts: opts, broker: b}
	require.NoError(t, b.EnsureTopics(t.Context(), infra.Topic{Name: topic}))
	return e
}

func (e *env) subscriber(group string) infra.Subscriber {
	e.Helper()
	return e.subscriberWith(group, infra.SubscriberConfig{})
}

func (e *env) subscriberWith(group string, cfg infra.SubscriberConfig) infra.Subscriber {
	e.Helper()
	s, err := e.broker.Subscriber(group, cfg)
	require.NoError(e, err)
	e.Cleanup(func() { _ = s.Close() })
	return s
}

func (e *env) subscribe(group string) (infra.Subscriber, <-chan *message.Message) {
	e.Helper()
	s := e.subscriber(group)
	out, err := s.Subscribe(context.Background(), topic)
	require.NoError(e, err)
	return s, out
}

// publish stores count messages of key, numbered from first in their payloads.
func (e *env) publish(key string, first, count int) {
	e.Helper()
	msgs := make([]*message.Message, count)
	for i := range msgs {
		msgs[i] = newMessage(key, strconv.Itoa(first+i))
	}
	require.NoError(e, e.broker.Publisher(infra.Durable).Publish(topic, msgs...))
}

func newMessage(key, payload string) *message.Message {
	m := message.NewMessage(watermill.NewUUID(), []byte(payload))
	if key != "" {
		m.Metadata.Set(infra.MetaKey, key)
	}
	return m
}

// receive returns the next message, without settling it.
func (e *env) receive(in <-chan *message.Message) *message.Message {
	e.Helper()
	select {
	case m, open := <-in:
		require.True(e, open, "the subscription ended")
		return m
	case <-time.After(e.opts.Timeout):
		require.FailNow(e, "no message in time")
	}
	return nil
}

// take receives count messages, without settling them.
func (e *env) take(in <-chan *message.Message, count int) []*message.Message {
	e.Helper()
	msgs := make([]*message.Message, count)
	for i := range msgs {
		msgs[i] = e.receive(in)
	}
	return msgs
}

// only asserts that the next messages of user "u" are exactly want, in order. It publishes
// a last message behind them, so that "no more" needs no waiting.
func (e *env) only(in <-chan *message.Message, want ...string) {
	e.Helper()
	e.publish("u", 1_000_000, 1)
	want = append(want, "1000000")
	var got []string
	for len(got) == 0 || got[len(got)-1] != "1000000" {
		m := e.receive(in)
		got = append(got, string(m.Payload))
		m.Ack()
	}
	require.Equal(e, want, got)
}

// quiet asserts that no message comes. There is no signal for that, so it waits: long
// enough to see a fault, short enough to run often.
func (e *env) quiet(in <-chan *message.Message) {
	e.Helper()
	select {
	case m, open := <-in:
		if open {
			require.FailNow(e, "a message came", "%s", m.Payload)
		}
	case <-time.After(300 * time.Millisecond):
	}
}

// ended waits until the channel is closed and returns what still came.
func (e *env) ended(in <-chan *message.Message) (rest []*message.Message) {
	e.Helper()
	deadline := time.After(e.opts.Timeout)
	for {
		select {
		case m, open := <-in:
			if !open {
				return rest
			}
			rest = append(rest, m)
		case <-deadline:
			require.FailNow(e, "the channel was not closed in time")
		}
	}
}

// within asserts that call returns in time.
func (e *env) within(what string, call func() error) {
	e.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		require.NoError(e, err, what)
	case <-time.After(e.opts.Timeout):
		require.FailNow(e, what+" did not return in time")
	}
}

// eventually polls, because brokers give no signal when a commit has arrived.
func (e *env) eventually(what string, ok func() bool) {
	e.Helper()
	require.Eventually(e, ok, e.opts.Timeout, 20*time.Millisecond, what)
}

func (e *env) lagOf(group string) int64 {
	e.Helper()
	n, err := infra.LagOf(e.Context(), e.broker, group, topic)
	require.NoError(e, err)
	return n
}

func payloads(msgs []*message.Message) []string {
	out := make([]string, len(msgs))
	for i, m := range msgs {
		out[i] = string(m.Payload)
	}
	return out
}

func numbers(first, count int) []string {
	out := make([]string, count)
	for i := range out {
		out[i] = fmt.Sprint(first + i)
	}
	return out
}
