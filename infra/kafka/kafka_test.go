package kafka

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"eventserver/infra"
	"eventserver/infra/brokertest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

// testConfig is what the tests change: short waits, small windows.
func testConfig(addrs ...string) Config {
	cfg := Config{
		Brokers: addrs, Partitions: 4, MaxMessageBytes: 1 << 20,
		SessionTimeout: 6 * time.Second, ReleaseTimeout: time.Second,
		CommitInterval: 100 * time.Millisecond,
	}
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

func open(t *testing.T, cfg Config) *Broker {
	t.Helper()
	b, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func ensure(t *testing.T, b infra.Broker, topics ...string) {
	t.Helper()
	for _, name := range topics {
		require.NoError(t, b.EnsureTopics(t.Context(), infra.Topic{Name: name}))
	}
}

// conform runs both suites against the cluster that addrs returns.
func conform(t *testing.T, addrs func(t *testing.T) []string) {
	t.Run("Ours", func(t *testing.T) { ours(t, addrs, false) })
	t.Run("Cooperative", func(t *testing.T) { ours(t, addrs, true) })
	t.Run("BusyKey", func(t *testing.T) {
		brokertest.RunBusyKey(t, func(t *testing.T) infra.Broker {
			cfg := testConfig(addrs(t)...)
			cfg.TopicPrefix = "b-" + watermill.NewShortUUID() + "-"
			cfg.Partitions, cfg.WindowMessages, cfg.WindowKey = 1, brokertest.BusyWindow, brokertest.BusyWindowKey
			return open(t, cfg)
		})
	})
	t.Run("Watermill", func(t *testing.T) {
		brokertest.RunWatermill(t, func(t *testing.T, partitions int) infra.Broker {
			cfg := testConfig(addrs(t)...)
			cfg.TopicPrefix = "w-" + watermill.NewShortUUID() + "-"
			cfg.Partitions = int32(partitions)
			cfg.ReleaseTimeout = 500 * time.Millisecond // Watermill's tests leave messages unsettled
			return open(t, cfg)
		})
	})
}

// ours is the conformance suite of this project.
func ours(t *testing.T, addrs func(t *testing.T) []string, cooperative bool) {
	const window = 20
	brokertest.Run(t, func(t *testing.T) infra.Broker {
		cfg := testConfig(addrs(t)...)
		cfg.TopicPrefix = "t-" + watermill.NewShortUUID() + "-"
		cfg.WindowMessages, cfg.WindowKey, cfg.Cooperative = window, window, cooperative
		return open(t, cfg)
	}, brokertest.Options{
		Partitions: 4, Window: window, MaxMessageBytes: 1 << 20,
		Reopen: func(t *testing.T, b infra.Broker) infra.Broker {
			require.NoError(t, b.Close())
			return open(t, b.(*Broker).cfg)
		},
	})
}

func TestConformance(t *testing.T) {
	conform(t, func(t *testing.T) []string { return cluster(t).ListenAddrs() })
}

// TestRealKafka needs EVENTSERVER_TEST_KAFKA, a comma separated list of host:port.
func TestRealKafka(t *testing.T) {
	env := os.Getenv("EVENTSERVER_TEST_KAFKA")
	if env == "" {
		t.Skip("EVENTSERVER_TEST_KAFKA is not set")
	}
	conform(t, func(*testing.T) []string { return strings.Split(env, ",") })
}
