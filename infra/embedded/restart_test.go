package embedded

import (
	"math"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// killed returns a directory as kill -9 leaves it: what the process has written
// by now, without anything that Close adds.
func killed(t *testing.T, dir string) string {
	t.Helper()
	image := t.TempDir()
	require.NoError(t, os.CopyFS(image, os.DirFS(dir)))
	return image
}

// endings are the ways a process ends. Each returns the directory to go on with.
var endings = map[string]func(t *testing.T, b *Broker, dir string) string{
	"Close":   func(t *testing.T, b *Broker, dir string) string { require.NoError(t, b.Close()); return dir },
	"kill -9": func(t *testing.T, _ *Broker, dir string) string { return killed(t, dir) },
}

func eachEnding(t *testing.T, test func(t *testing.T, end func(t *testing.T, b *Broker, dir string) string)) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, end)
		})
	}
}

// NoSync leaves it to the operating system when the disk has the data. Neither
// Close nor the end of the process loses any of it.
func TestReopen(t *testing.T) {
	t.Parallel()
	for name, noSync := range map[string]bool{"Sync": false, "NoSync": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachEnding(t, func(t *testing.T, end func(*testing.T, *Broker, string) string) {
				cfg := testConfig(t.TempDir())
				cfg.NoSync = noSync
				b := open(t, cfg)
				kept := infra.Topic{Name: "poison.webhook", Keep: true}
				require.NoError(t, b.EnsureTopics(t.Context(), infra.Topic{Name: topic}, kept))
				publish(t, b, topic, "u", 0, 100)
				publish(t, b, kept.Name, "u", 0, 3)
				consume(t, b, "webhook", topic, 40)

				cfg.Dir = end(t, b, cfg.Dir)
				b = open(t, cfg)
				lag, err := infra.LagOf(t.Context(), b, "webhook", topic)
				require.NoError(t, err)
				assert.EqualValues(t, 60, lag)
				_, in := subscribe(t, b, "webhook", topic)
				only(t, b, in, topic, "u", numbers(40, 60)...)
				lag, err = infra.LagOf(t.Context(), b, "new", kept.Name)
				require.NoError(t, err)
				assert.EqualValues(t, 3, lag)
			})
		})
	}
}

func TestTrimmedThenReopened(t *testing.T) {
	t.Parallel()
	eachEnding(t, func(t *testing.T, end func(*testing.T, *Broker, string) string) {
		cfg := trimming(onePartition(t.TempDir()))
		b := open(t, cfg)
		p := probe(t, b)
		ensure(t, b, topic)
		publish(t, b, topic, "u", 0, 50)
		s, in := subscribe(t, b, "slow", topic)
		msgs := make([]*message.Message, 50)
		for i := range msgs {
			msgs[i] = receive(t, in)
		}
		for i, m := range msgs {
			if i < 20 || i%2 == 1 {
				m.Ack()
			}
		}
		p.did(t, "fast", topic)
		trimmedTo(t, p, topic, 0, 20)
		require.Eventually(t, func() bool { n, err := infra.LagOf(t.Context(), b, "slow", topic); return err == nil && n == 15 }, timeout, poll)
		for _, m := range msgs {
			m.Nack() // nothing, where it was acked
		}
		require.NoError(t, s.Close())

		cfg.Dir = end(t, b, cfg.Dir)
		b = open(t, cfg)
		ensure(t, b, topic)
		p = probe(t, b)
		trimmedTwice(t, b, p)
		_, in = subscribe(t, b, "slow", topic)
		var want []string
		for i := 20; i < 50; i += 2 {
			want = append(want, numbers(i, 1)...)
		}
		only(t, b, in, topic, "u", want...)
	})
}

// When all was done and trimmed, no file was left that knew how far the
// partition had come: it began again at offset 0 while the groups' commits
// stood far above, and the events of the next days were taken for done.
func TestAllTrimmedThenReopened(t *testing.T) {
	t.Parallel()
	eachEnding(t, func(t *testing.T, end func(*testing.T, *Broker, string) string) {
		cfg := trimming(onePartition(t.TempDir()))
		b := open(t, cfg)
		p := probe(t, b)
		ensure(t, b, topic)
		publish(t, b, topic, "u", 0, 20)
		p.did(t, "webhook", topic)
		trimmedTo(t, p, topic, 0, 19)
		trimmedTwice(t, b, p)

		cfg.Dir = end(t, b, cfg.Dir)
		b = open(t, cfg)
		ensure(t, b, topic)
		assert.EqualValues(t, 20, probe(t, b).newest(t, topic, 0))
		publish(t, b, topic, "u", 20, 30) // before anybody subscribes
		_, in := subscribe(t, b, "webhook", topic)
		only(t, b, in, topic, "u", numbers(20, 30)...)
	})
}

// The cluster forgets the commits of a group that was away for a week, unless
// told otherwise: a destination switched off that long would get every event
// again, and what it had not got would be trimmed.
func TestCommitsDoNotExpire(t *testing.T) {
	t.Parallel()
	b := open(t, testConfig(t.TempDir()))
	minutes, err := strconv.ParseInt(probe(t, b).config(t, sarama.BrokerResource, "0")["offsets.retention.minutes"], 10, 64)
	require.NoError(t, err)
	const year = 365 * 24 * 60
	assert.GreaterOrEqual(t, minutes, int64(50*year))
	assert.LessOrEqual(t, minutes, int64(math.MaxInt64/time.Minute), "it is computed with as a time.Duration")
}
