package brokertest

import (
	"slices"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// deletes: a group with a member is not deleted. A deleted group leaves nothing. A deleted
// topic can be created again.
func (e *env) deletes() {
	d := e.broker
	ctx := e.Context()
	s, in := e.subscribe(group)
	e.publish("u", 0, 5)
	for _, m := range e.take(in, 5) {
		m.Ack()
	}
	e.eventually("5 are done", func() bool { return e.lagOf(group) == 0 })
	require.ErrorIs(e, d.DeleteGroups(ctx, "nobody", group), infra.ErrGroupBusy)
	e.within("Close", s.Close)
	require.NoError(e, d.Leave(ctx, group))
	e.eventually("the group has no member", func() bool { return d.DeleteGroups(ctx, group) == nil })
	require.NoError(e, d.DeleteGroups(ctx, group), "it is gone already")
	assert.EqualValues(e, 5, e.lagOf(group), "it has done nothing any more")

	require.NoError(e, e.broker.EnsureTopics(ctx, infra.Topic{Name: "other"}))
	names, err := d.Topics(ctx)
	require.NoError(e, err)
	assert.Equal(e, []string{topic, "other"}, names)
	require.NoError(e, e.broker.Publisher(infra.Durable).Publish("other", newMessage("u", "1")))
	_, err = e.broker.Bounds(ctx, "other", time.Time{}) // whoever has seen it must not go on seeing it
	require.NoError(e, err)
	require.NoError(e, d.DeleteTopics(ctx, "other", "nothing"))
	e.eventually("the topic is gone", func() bool {
		names, err := d.Topics(ctx)
		return err == nil && slices.Equal(names, []string{topic})
	})
	_, err = e.broker.Bounds(ctx, "other", time.Time{})
	require.ErrorIs(e, err, infra.ErrNoTopic)
	require.NoError(e, e.broker.EnsureTopics(ctx, infra.Topic{Name: "other"}))
	// A producer that counts what it wrote to the deleted one is refused once.
	e.eventually("the new one takes messages", func() bool { return e.broker.Publisher(infra.Durable).Publish("other", newMessage("u", "1")) == nil })
	lag, err := infra.LagOf(ctx, e.broker, "anybody", "other")
	require.NoError(e, err)
	assert.EqualValues(e, 1, lag)
}
