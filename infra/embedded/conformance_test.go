package embedded

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventserver/infra"
	"eventserver/infra/brokertest"
)

// reopener remembers what a broker was opened with, for Reopen.
type reopener struct {
	*Broker
	cfg Config
}

func TestConformance(t *testing.T) {
	t.Parallel()
	const window = 20
	brokertest.Run(t, func(t *testing.T) infra.Broker {
		cfg := testConfig(t.TempDir())
		cfg.Kafka.WindowMessages, cfg.Kafka.WindowKey = window, window
		return reopener{open(t, cfg), cfg}
	}, brokertest.Options{
		Partitions: 4, Window: window, MaxMessageBytes: 1 << 20,
		Reopen: func(t *testing.T, b infra.Broker) infra.Broker {
			old := b.(reopener)
			require.NoError(t, old.Close())
			return reopener{open(t, old.cfg), old.cfg}
		},
	})
}

func TestWatermill(t *testing.T) {
	t.Parallel()
	brokertest.RunWatermill(t, func(t *testing.T, partitions int) infra.Broker {
		cfg := testConfig(t.TempDir())
		cfg.TrimAge = 10 * time.Second // longer than any test leaves a topic before its next group
		cfg.Kafka.Partitions = int32(partitions)
		cfg.Kafka.ReleaseTimeout = 500 * time.Millisecond // Watermill's tests leave messages unsettled
		return open(t, cfg)
	})
}
