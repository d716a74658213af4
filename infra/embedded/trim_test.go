package embedded

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
	"eventserver/infra/kafka"
)

const trimAge = 100 * time.Millisecond

func trimming(cfg Config) Config {
	cfg.TrimAge = trimAge
	return cfg
}

// trimmedTwice returns after the trimmer has had its way with all that was done
// before the call: what is still there then stays. Nothing can signal what
// does not happen, so a topic of its own shows that an age and a trim have
// passed, and a second one that the first one's round of topics was finished.
func trimmedTwice(t *testing.T, b *Broker, p *prober) {
	t.Helper()
	for range 2 {
		witness := "witness-" + watermill.NewShortUUID()
		ensure(t, b, witness)
		publish(t, b, witness, "u", 0, 2)
		parts, err := p.client.Partitions(witness)
		require.NoError(t, err)
		p.did(t, "witness", witness)
		require.Eventually(t, func() bool {
			return slices.ContainsFunc(parts, func(part int32) bool { return p.oldest(t, witness, part) == 1 })
		}, timeout, poll, "the trimmer does not work")
	}
}

func trimmedTo(t *testing.T, p *prober, topic string, partition int32, want int64) {
	t.Helper()
	require.Eventually(t, func() bool { return p.oldest(t, topic, partition) == want }, timeout, poll,
		"partition %d of %s is trimmed to %d", partition, topic, want)
}

func TestTrimRemovesWhatAllGroupsHaveDone(t *testing.T) {
	t.Parallel()
	b := open(t, trimming(testConfig(t.TempDir())))
	p := probe(t, b)
	ensure(t, b, topic)
	for k := range 10 {
		publish(t, b, topic, fmt.Sprint("user-", k), 0, 5)
	}
	p.knows(t, "b", topic)
	consume(t, b, "a", topic, 50)
	consume(t, b, "b", topic, 50)
	for part := range int32(4) {
		if end := p.newest(t, topic, part); end > 0 {
			trimmedTo(t, p, topic, part, end-1) // the last one keeps the end of the partition on disk
		}
	}
	_, in := subscribe(t, b, "a", topic) // goes on as if nothing had happened
	only(t, b, in, topic, "user-1")
}

// A group that is far ahead takes nothing from one that is behind, whatever the age.
func TestTrimStopsAtTheSlowestGroup(t *testing.T) {
	t.Parallel()
	b := open(t, trimming(onePartition(t.TempDir())))
	p := probe(t, b)
	ensure(t, b, topic)
	publish(t, b, topic, "u", 0, 50)
	_, slow := subscribe(t, b, "slow", topic)
	for range 10 {
		receive(t, slow).Ack()
	}
	stuck := receive(t, slow)
	for range 20 {
		receive(t, slow).Ack() // done above one that is not: the watermark counts
	}
	p.did(t, "fast", topic)
	trimmedTo(t, p, topic, 0, 10)
	trimmedTwice(t, b, p)
	assert.EqualValues(t, 10, p.oldest(t, topic, 0))
	stuck.Ack()
	for range 19 {
		receive(t, slow).Ack()
	}
	trimmedTo(t, p, topic, 0, 49)
}

// The groups of these tests have subscribed and have no commit at all.
func TestTrimWaitsForSubscribersWithoutCommit(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		stock, refused bool
	}{
		"joined": {},
		// watermill-kafka's subscriber is not one that the broker keeps a list of.
		"joined, stock subscriber": {stock: true},
		// While it joins, the cluster does not list the group.
		"not joined yet": {refused: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := trimming(onePartition(t.TempDir()))
			cfg.Kafka.CommitInterval = time.Hour
			cfg.Kafka.Stock = test.stock
			b := open(t, cfg)
			p := probe(t, b)
			ensure(t, b, topic)
			joining := make(chan struct{}, 100)
			b.cluster.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
				b.cluster.KeepControl()
				select {
				case joining <- struct{}{}:
				default:
				}
				if test.refused {
					return nil, errors.New("cut"), true
				}
				return nil, nil, false
			})
			_, slow := subscribe(t, b, "slow", topic)
			publish(t, b, topic, "u", 0, 20)
			<-joining
			if !test.refused {
				receive(t, slow) // and holds it
			}
			p.did(t, "fast", topic)
			trimmedTwice(t, b, p)
			assert.EqualValues(t, 0, p.oldest(t, topic, 0))
		})
	}
}

// A destination with work in some partitions only: the others are not done.
func TestTrimPartitionWithoutCommit(t *testing.T) {
	t.Parallel()
	b := open(t, trimming(testConfig(t.TempDir())))
	p := probe(t, b)
	ensure(t, b, topic)
	publish(t, b, topic, "", 0, 200) // without a key: all partitions get some
	const done = 2
	p.commit(t, "some", topic, done, p.newest(t, topic, done))
	p.did(t, "all", topic)
	trimmedTo(t, p, topic, done, p.newest(t, topic, done)-1)
	trimmedTwice(t, b, p)
	for part := range int32(4) {
		if part != done {
			assert.EqualValues(t, 0, p.oldest(t, topic, part), "partition %d", part)
		}
	}
}

func TestTrimKeeps(t *testing.T) {
	t.Parallel()
	b := open(t, trimming(onePartition(t.TempDir())))
	p := probe(t, b)
	const poison, unread = "poison.webhook", "dest.nobody"
	for range 2 {
		require.NoError(t, b.EnsureTopics(t.Context(), infra.Topic{Name: poison, Keep: true}, infra.Topic{Name: unread}))
	}
	publish(t, b, poison, "u", 0, 10)
	publish(t, b, unread, "u", 0, 10)
	p.did(t, "a", poison)
	trimmedTwice(t, b, p)
	assert.EqualValues(t, 0, p.oldest(t, poison, 0), "the poison queue is never trimmed")
	assert.EqualValues(t, 0, p.oldest(t, unread, 0), "what no group reads is not done")
}

// A destination that is added later starts at what is left: the events that
// all groups of then had done are gone after TrimAge. Those that one of them
// has not done are there for it too.
func TestTrimAndANewGroup(t *testing.T) {
	t.Parallel()
	b := open(t, trimming(onePartition(t.TempDir())))
	p := probe(t, b)
	ensure(t, b, topic)
	publish(t, b, topic, "u", 0, 30)
	p.commit(t, "a", topic, 0, 20)
	trimmedTo(t, p, topic, 0, 20)
	_, in := subscribe(t, b, "new", topic)
	only(t, b, in, topic, "u", numbers(20, 10)...)
}

// What was seen as done is trimmed an age later, and by then a destination may
// have been added, or set back to deliver again.
func TestStillDone(t *testing.T) {
	then := kafka.Done{0: 10, 1: 10, 2: 10, 3: 10}
	now := kafka.Done{0: 20, 1: 5, 2: 0}
	assert.Equal(t, kafka.Done{0: 10, 1: 5, 2: 0}, still(then, now))
	assert.Empty(t, still(then, nil), "no answer now: nothing goes")
	assert.Empty(t, still(nil, now))
}
