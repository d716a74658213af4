package brokertest

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// resume: a commit carries the consumer's note to the next owner of the partition. Messages
// that the consumer says are done are not handed out. A group that was reset has no note.
func (e *env) resume() {
	if e.opts.Whole {
		e.Skip("nothing is done that was not kept")
	}
	uuids := map[string]string{} // by payload
	_, all := e.subscribe("all")
	e.publish("u", 0, 10)
	var place int32
	for _, m := range e.take(all, 10) {
		uuids[string(m.Payload)], place = m.UUID, infra.Partition(m)
	}
	of := func(payload string) infra.Identity { return infra.Identity{UUID: uuids[payload], Key: "u"} }
	asked := make(chan infra.Resumption, 1)
	own := func(r infra.Resumed) (infra.Subscriber, <-chan *message.Message) {
		s := e.subscriberWith(group, infra.SubscriberConfig{Resume: func(_ context.Context, at infra.Resumption) infra.Resumed {
			asked <- at
			return r
		}})
		in, err := s.Subscribe(context.Background(), topic)
		require.NoError(e, err)
		return s, in
	}

	s, in := own(infra.Resumed{Note: "first1"})
	assert.Equal(e, infra.Resumption{Partition: place, Position: 0}, e.asked(asked))
	msgs := e.take(in, 10)
	msgs[0].Ack()
	msgs[1].Ack()
	msgs[4].Ack()
	e.eventually("3 of 10 are done", func() bool { return e.lagOf(group) == 7 })
	e.within("Close", s.Close)

	// The same partition again: 2, 3 and 5 stand elsewhere. 6 is another message, and with it 7 comes again.
	s, in = own(infra.Resumed{Note: "second2", Done: map[int64]infra.Identity{
		2: of("2"), 3: of("3"), 4: of("4"), 5: of("5"), 6: of("7"), 7: of("7"),
	}})
	assert.Equal(e, infra.Resumption{Partition: place, Position: 2, Note: "first1"}, e.asked(asked))
	e.only(in, "6", "7", "8", "9")
	assert.EqualValues(e, 4, s.Stats().Suppressed)
	e.eventually("all is done", func() bool { return e.lagOf(group) == 0 })
	e.within("Close", s.Close)

	// An owner that has nothing to say of a note, and one who comes after it.
	e.publish("u", 10, 1)
	s, in = own(infra.Resumed{})
	assert.Equal(e, "second2", e.asked(asked).Note)
	e.only(in, "10")
	e.eventually("all is done", func() bool { return e.lagOf(group) == 0 })
	e.within("Close", s.Close)
	e.publish("u", 11, 1)
	s, in = own(infra.Resumed{Note: "third3"})
	assert.Empty(e, e.asked(asked).Note)
	e.only(in, "11")
	e.eventually("all is done", func() bool { return e.lagOf(group) == 0 })
	e.within("Close", s.Close)

	require.NoError(e, e.broker.Leave(e.Context(), group))
	e.eventually("the group is set back", func() bool {
		return e.broker.Reset(e.Context(), group, topic, map[int32]int64{place: 8}) == nil
	})
	_, in = own(infra.Resumed{})
	assert.Equal(e, infra.Resumption{Partition: place, Position: 8}, e.asked(asked))
	assert.Equal(e, "8", string(e.receive(in).Payload))
}

// asked is what a claim asked next.
func (e *env) asked(asked <-chan infra.Resumption) infra.Resumption {
	e.Helper()
	select {
	case at := <-asked:
		return at
	case <-time.After(e.opts.Timeout):
	}
	require.FailNow(e, "nothing was asked")
	return infra.Resumption{}
}
