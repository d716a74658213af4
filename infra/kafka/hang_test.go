package kafka

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
)

// A cluster that hung for longer than a read may take stayed away for a process that
// published nothing: its client answered all that was asked on the connection with the
// old timeout. /readyz said 503, lag and age stood still, and nobody could replay or
// explain, for up to ten minutes.
func TestAnswersAgainAfterAHang(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key kmsg.Key
		ask func(t *testing.T, b infra.Broker) error
	}{
		"progress": {kmsg.OffsetFetch, func(t *testing.T, b infra.Broker) error {
			_, err := infra.ProgressOf(t.Context(), b, group, topic)
			return err
		}},
		"members": {kmsg.DescribeGroups, func(t *testing.T, b infra.Broker) error {
			_, err := b.Members(t.Context(), group)
			return err
		}},
		"bounds": {kmsg.ListOffsets, func(t *testing.T, b infra.Broker) error {
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
				fake.KeepControl()
				fake.SleepControl(func() { <-over })
				return nil, nil, false
			})
			require.Error(t, c.ask(t, b), "it hangs")
			close(over)
			assert.Eventually(t, func() bool { return c.ask(t, b) == nil }, 2*time.Second, 50*time.Millisecond)
		})
	}
}
