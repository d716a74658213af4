package pubsub

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// oldest is the first offset of a topic that is there.
func (e *env) oldest(topic string) int64 {
	e.Helper()
	b, err := e.Bounds(context.Background(), topic, time.Time{})
	require.NoError(e, err)
	return b[0].Oldest
}

// consume has a group do the next n messages, and leaves.
func (e *env) consume(group, topic string, n int) {
	e.Helper()
	s, err := e.Subscriber(group, infra.SubscriberConfig{Receipts: true})
	require.NoError(e, err)
	in, err := s.Subscribe(context.Background(), topic)
	require.NoError(e, err)
	settle(true, e.take(in, n)...)
	require.NoError(e, s.Close())
}

func (e *env) publishTo(topic string, n int) {
	e.Helper()
	for range n {
		require.NoError(e, e.Publisher(infra.Durable).Publish(topic, newMessage("u", "x")))
	}
}

// after lets the bubble's time pass.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// What every group has done goes, an age later; what one group has not done stays
// whatever it takes, and so does what is to be kept.
func TestTrim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const age = time.Minute
		e := newEnv(t, Config{TrimAge: age, WindowKey: 1000})
		require.NoError(t, e.EnsureTopics(t.Context(), infra.Topic{Name: "poison", Keep: true}))
		e.publishTo(topic, 10)
		e.publishTo("poison", 10)
		after(3 * age)
		assert.Zero(t, e.oldest(topic), "nobody has done anything")

		e.consume("a", topic, 10)
		e.consume("b", topic, 6)
		e.consume("b", "poison", 10)
		after(age - time.Second)
		assert.Zero(t, e.oldest(topic), "not that long")
		after(age)
		assert.EqualValues(t, 6, e.oldest(topic))
		assert.Zero(t, e.oldest("poison"))

		s, err := e.Subscriber("c", infra.SubscriberConfig{Receipts: true}) // it has done nothing
		require.NoError(t, err)
		in, err := s.Subscribe(t.Context(), topic)
		require.NoError(t, err)
		first := e.receive(in)
		e.consume("b", topic, 4)
		after(3 * age)
		assert.EqualValues(t, 6, e.oldest(topic), "c reads")
		settle(true, append(e.take(in, 3), first)...)
		require.NoError(t, s.Close())
		after(3 * age)
		assert.EqualValues(t, 10, e.oldest(topic))

		e.publishTo(topic, 1)
		b, err := e.Bounds(t.Context(), topic, time.Time{})
		require.NoError(t, err)
		assert.Equal(t, infra.Bounds{Oldest: 10, At: 10, End: 11}, b[0], "the end never goes back")
	})
}

// A group that is set back shortly before its records would go keeps them.
func TestTrimOfAGroupThatIsSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const age = time.Minute
		e := newEnv(t, Config{TrimAge: age, WindowKey: 1000})
		e.publishTo(topic, 10)
		e.consume(group, topic, 10)
		after(age - time.Second)
		require.NoError(t, e.Reset(t.Context(), group, topic, map[int32]int64{0: 3}))
		after(3 * age)
		assert.EqualValues(t, 3, e.oldest(topic))
		require.NoError(t, e.DeleteGroups(t.Context(), group))
		e.consume("another", topic, 7)
		after(3 * age)
		assert.EqualValues(t, 10, e.oldest(topic), "a group that is gone holds nothing back")
	})
}

// Topics are listed once a look, and each is asked about once.
func TestTrimAsksOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const age = time.Minute
		e := newEnv(t, Config{TrimAge: age})
		e.consume(group, topic, 0)
		after(age)
		lists, asked := e.faults.lists.Load(), e.faults.asked.Load()
		after(age)
		assert.EqualValues(t, checksPerAge, e.faults.lists.Load()-lists)
		assert.EqualValues(t, checksPerAge, e.faults.asked.Load()-asked)
	})
}

// kept is a log that outlives its broker.
type kept struct{ *memlog }

func (kept) Close() error { return nil }

// A server that was restarted more often than TrimAge never trimmed: what it had seen
// as done was forgotten with each restart.
func TestTrimOfAServerThatIsOftenRestarted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const age, rounds, each = time.Hour, 8, 10
		log := kept{newMemlog()}
		for range rounds {
			b, err := New(log, Config{TrimAge: age, WindowKey: 1000})
			require.NoError(t, err)
			e := &env{T: t, Broker: b}
			require.NoError(t, e.EnsureTopics(t.Context(), infra.Topic{Name: topic}))
			e.publishTo(topic, each)
			e.consume(group, topic, each)
			e.publishTo(topic, 1) // is not done before the next start
			after(age / 2)
			e.consume(group, topic, 1)
			require.NoError(t, b.Close())
		}
		bounds, err := log.Bounds(t.Context(), topic, time.Time{})
		require.NoError(t, err)
		assert.GreaterOrEqual(t, bounds[0].Oldest, int64((rounds-3)*(each+1)))
		assert.Less(t, bounds[0].Oldest, bounds[0].End, "what is younger stays")
	})
}
