package kafka

import (
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"eventserver/infra"
	"eventserver/infra/brokertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testConfig is what the tests change: short waits.
func testConfig(addrs ...string) Config {
	cfg := Config{Brokers: addrs, Partitions: 4, MaxMessageBytes: 1 << 20, SessionTimeout: 6 * time.Second}
	if os.Getenv("EVENTSERVER_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return cfg
}

// cluster starts a Kafka in this process.
func cluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100 * time.Millisecond)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func openLog(t *testing.T, cfg Config) *Log {
	t.Helper()
	l, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestContract(t *testing.T) {
	t.Run("Cooperative", func(t *testing.T) {
		contract(t, func(t *testing.T) []string { return cluster(t).ListenAddrs() }, false)
	})
	t.Run("Eager", func(t *testing.T) {
		contract(t, func(t *testing.T) []string { return cluster(t).ListenAddrs() }, true)
	})
}

func contract(t *testing.T, addrs func(t *testing.T) []string, eager bool) {
	var configs sync.Map // by log
	open := func(t *testing.T, cfg Config) infra.Log {
		l := openLog(t, cfg)
		configs.Store(l, cfg)
		return l
	}
	brokertest.RunLog(t, func(t *testing.T) infra.Log {
		cfg := testConfig(addrs(t)...)
		cfg.TopicPrefix, cfg.Eager = "l-"+watermill.NewShortUUID()+"-", eager
		return open(t, cfg)
	}, brokertest.LogOptions{
		Partitions: 4,
		Reopen: func(t *testing.T, l infra.Log) infra.Log {
			require.NoError(t, l.Close())
			cfg, _ := configs.Load(l)
			return open(t, cfg.(Config))
		},
	})
}
