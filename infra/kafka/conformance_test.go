package kafka

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
	"eventserver/infra/brokertest"
	"eventserver/infra/pubsub"
)

func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long; TestContract is quick")
	}
	conform(t, func(t *testing.T) []string { return cluster(t).ListenAddrs() })
}

// TestRealKafka needs EVENTSERVER_TEST_KAFKA, a comma separated list of host:port.
func TestRealKafka(t *testing.T) {
	env := os.Getenv("EVENTSERVER_TEST_KAFKA")
	if env == "" {
		t.Skip("EVENTSERVER_TEST_KAFKA is not set")
	}
	addrs := func(*testing.T) []string { return strings.Split(env, ",") }
	t.Run("Contract", func(t *testing.T) { contract(t, addrs, false, nil) })
	conform(t, addrs)
}

// on makes a broker of a log.
func on(t *testing.T, cfg Config, p pubsub.Config) infra.Broker {
	t.Helper()
	if p.ReleaseTimeout == 0 {
		p.ReleaseTimeout = time.Second
	}
	p.Logger = cfg.Logger
	b, err := pubsub.New(openLog(t, cfg), p)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// conform runs both suites against the cluster that addrs returns.
func conform(t *testing.T, addrs func(t *testing.T) []string) {
	t.Run("Ours", func(t *testing.T) { ours(t, addrs, false) })
	t.Run("Eager", func(t *testing.T) { ours(t, addrs, true) })
	t.Run("BusyKey", func(t *testing.T) {
		brokertest.RunBusyKey(t, func(t *testing.T) infra.Broker {
			cfg := testConfig(addrs(t)...)
			cfg.TopicPrefix, cfg.Partitions = "b-"+watermill.NewShortUUID()+"-", 1
			return on(t, cfg, pubsub.Config{WindowMessages: brokertest.BusyWindow, WindowKey: brokertest.BusyWindowKey})
		})
	})
	t.Run("Watermill", func(t *testing.T) {
		brokertest.RunWatermill(t, func(t *testing.T, partitions int) infra.Broker {
			cfg := testConfig(addrs(t)...)
			cfg.TopicPrefix, cfg.Partitions = "w-"+watermill.NewShortUUID()+"-", int32(partitions)
			return on(t, cfg, pubsub.Config{ReleaseTimeout: 500 * time.Millisecond}) // Watermill's tests leave messages unsettled
		})
	})
}

// ours is the conformance suite of this project.
func ours(t *testing.T, addrs func(t *testing.T) []string, eager bool) {
	const window = 20
	var configs sync.Map // by broker
	open := func(t *testing.T, cfg Config) infra.Broker {
		b := on(t, cfg, pubsub.Config{WindowMessages: window, WindowKey: window})
		configs.Store(b, cfg)
		return b
	}
	brokertest.Run(t, func(t *testing.T) infra.Broker {
		cfg := testConfig(addrs(t)...)
		cfg.TopicPrefix, cfg.Eager = "t-"+watermill.NewShortUUID()+"-", eager
		return open(t, cfg)
	}, brokertest.Options{
		Partitions: 4, Window: window, MaxMessageBytes: 1 << 20,
		Reopen: func(t *testing.T, b infra.Broker) infra.Broker {
			require.NoError(t, b.Close())
			cfg, _ := configs.Load(b)
			return open(t, cfg.(Config))
		},
	})
}
