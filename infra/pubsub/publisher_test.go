package pubsub

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// Of a batch that was stored in part, the caller learns which messages were not.
func TestPublishInPart(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	fault(&e.faults.append, func(infra.Batch) error {
		return fmt.Errorf("log: %w", &infra.AppendError{Failed: []int{1}, Err: errTest})
	})
	a, b, c := newMessage("u", "a"), newMessage("u", "b"), newMessage("u", "c")
	err := e.Publisher(infra.Durable).Publish(topic, a, b, c)
	var some *infra.PublishError
	require.ErrorAs(t, err, &some)
	require.Len(t, some.Failed, 1)
	assert.Same(t, b, some.Failed[0])
	require.ErrorIs(t, err, errTest)
	require.EqualError(t, err, "publish to events: 1 of 3 messages: as the test wants")
	fault(&e.faults.append, func(infra.Batch) error { return &infra.AppendError{Failed: []int{0, 1}, Err: errTest} })
	err = e.Publisher(infra.Durable).Publish(topic, a, b)
	assert.NotErrorAs(t, err, &some, "nothing was stored")
	require.EqualError(t, err, "publish to events: as the test wants")
}

// One call is one batch, of the durability that was asked for.
func TestPublishIsOneBatch(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	for _, d := range []infra.Durability{infra.Durable, infra.Step} {
		batches := 0
		fault(&e.faults.append, func(b infra.Batch) error {
			batches++
			assert.Equal(t, d, b.Durability)
			assert.Len(t, b.Records, 3)
			return nil
		})
		require.NoError(t, e.Publisher(d).Publish(topic, newMessage("a", ""), newMessage("b", ""), newMessage("c", "")))
		assert.Equal(t, 1, batches)
	}
}

func TestPublishIsAllOrNothing(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	big := newMessage("u", "")
	big.Payload = make([]byte, 1<<20)
	err := e.Publisher(infra.Durable).Publish(topic, newMessage("u", "1"), big)
	require.ErrorIs(t, err, infra.ErrTooLarge)
	assert.Zero(t, e.lag())
}

func TestUnknownTopic(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	err := e.Publisher(infra.Durable).Publish("typo", newMessage("u", ""))
	require.ErrorIs(t, err, infra.ErrNoTopic)
	require.ErrorContains(t, err, "topic typo does not exist; create it with EnsureTopics")
	s, err := e.Subscriber(group, infra.SubscriberConfig{})
	require.NoError(t, err)
	_, err = s.Subscribe(t.Context(), "typo")
	require.ErrorContains(t, err, "EnsureTopics")
	assert.False(t, s.Assigned())
	_, err = infra.LagOf(t.Context(), e, group, "typo")
	require.ErrorIs(t, err, infra.ErrNoTopic)
	_, err = e.Place(t.Context(), "typo", "u")
	require.ErrorIs(t, err, infra.ErrNoTopic)
}

func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := Config{WindowMessages: -1, WindowKey: -1, TrimAge: -1}.withDefaults()
	for _, name := range []string{"WindowMessages", "WindowKey", "TrimAge"} {
		require.ErrorContains(t, err, name+" is negative")
	}
	cfg, err := Config{PartitionOrder: true, WindowMessages: 50}.withDefaults()
	require.NoError(t, err)
	assert.Equal(t, 1, cfg.WindowMessages)
	assert.Equal(t, 1, cfg.WindowKey)
}
