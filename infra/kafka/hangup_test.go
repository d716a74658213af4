package kafka

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

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

// A cluster that hung for most of a minute left "correlation ID didn't match" as
// the answer to everything: it takes a real Kafka that is stopped and goes on.
func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	timedOut := &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}
	for _, err := range []error{timedOut, sarama.PacketDecodingError{Info: "correlation ID didn't match, wanted 46, got 44"}} {
		assert.True(t, broken(fmt.Errorf("topic events: %w", err)), "%v", err)
	}
	for _, err := range []error{nil, sarama.ErrNotController, sarama.ErrClosedClient, context.Canceled} {
		assert.False(t, broken(err), "%v", err)
	}
}
