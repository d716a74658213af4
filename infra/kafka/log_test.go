package kafka

import (
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
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
	for name, eager := range map[string]bool{"Cooperative": false, "Eager": true} {
		t.Run(name, func(t *testing.T) {
			var clusters sync.Map // by address
			contract(t, func(t *testing.T) []string {
				c := cluster(t)
				clusters.Store(c.ListenAddrs()[0], c)
				return c.ListenAddrs()
			}, eager, func(addr string, f kfake.Fault) {
				c, _ := clusters.Load(addr)
				c.(*kfake.Cluster).Fault(f)
			})
		})
	}
}

// contract tests logs on the clusters that addrs returns; fault is nil where they have
// none on command.
func contract(t *testing.T, addrs func(t *testing.T) []string, eager bool, fault func(addr string, f kfake.Fault)) {
	var configs sync.Map // by log
	open := func(t *testing.T, cfg Config) infra.Log {
		l := openLog(t, cfg)
		configs.Store(l, cfg)
		return l
	}
	opts := brokertest.LogOptions{
		Partitions: 4,
		Reopen: func(t *testing.T, l infra.Log) infra.Log {
			require.NoError(t, l.Close())
			cfg, _ := configs.Load(l)
			return open(t, cfg.(Config))
		},
	}
	if fault != nil {
		opts.Refuse = func(_ *testing.T, l infra.Log, topic string, partition int32) {
			of, _ := configs.Load(l)
			cfg := of.(Config)
			fault(cfg.Brokers[0], kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: cfg.Topic(topic), Partitions: []int32{partition}, Err: kerr.InvalidRecord})
		}
	}
	brokertest.RunLog(t, func(t *testing.T) infra.Log {
		cfg := testConfig(addrs(t)...)
		cfg.TopicPrefix, cfg.Eager = "l-"+watermill.NewShortUUID()+"-", eager
		return open(t, cfg)
	}, opts)
}
