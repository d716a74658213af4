package kafka

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Connected anew while the cluster still hung, sarama did not get the answer to
// its first question, went on without it, and took it for that to the next one
// when it came: from then on it answered everything with "correlation ID did not match".
func TestAnswersAgainAfterALongHang(t *testing.T) {
	t.Parallel()
	fake := cluster(t)
	b := open(t, testConfig(fake.ListenAddrs()...))
	c, err := b.client.Controller()
	require.NoError(t, err)
	require.NoError(t, c.Close())       // the next to ask connects anew
	late := time.After(7 * time.Second) // the first question's time, 5 s, is over, and that of the next is not
	fake.ControlKey(kmsg.ApiVersions.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		fake.SleepControl(func() { <-late })
		return nil, nil, false
	})
	require.Error(t, b.Ping(t.Context()), "it hangs")
	assert.Eventually(t, func() bool { return b.Ping(t.Context()) == nil }, 2*time.Second, 50*time.Millisecond)
}

// A cluster that hung for longer than a read may take stayed away for a process
// that published nothing: sarama answered all that was asked on the connection
// with the old timeout. /readyz said 503, lag and age stood still, and nobody
// could replay or explain, for up to ten minutes.
func TestAnswersAgainAfterAHang(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key kmsg.Key
		ask func(t *testing.T, b *Broker) error
	}{
		"ping": {kmsg.DescribeCluster, func(t *testing.T, b *Broker) error { return b.Ping(t.Context()) }},
		"progress": {kmsg.OffsetFetch, func(t *testing.T, b *Broker) error {
			_, err := b.Progress(t.Context(), group, topic)
			return err
		}},
		"members": {kmsg.DescribeGroups, func(t *testing.T, b *Broker) error {
			_, err := b.Members(t.Context(), group)
			return err
		}},
		"bounds": {kmsg.ListOffsets, func(t *testing.T, b *Broker) error {
			_, err := b.Bounds(t.Context(), topic, time.Time{})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := cluster(t)
			b := open(t, testConfig(fake.ListenAddrs()...))
			ensure(t, b, topic)
			require.NoError(t, c.ask(t, b))
			over := make(chan struct{})
			fake.ControlKey(c.key.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
				fake.SleepControl(func() { <-over })
				return nil, nil, false
			})
			require.Error(t, c.ask(t, b), "it hangs")
			close(over)
			assert.Eventually(t, func() bool { return c.ask(t, b) == nil }, 2*time.Second, 50*time.Millisecond)
		})
	}
}
