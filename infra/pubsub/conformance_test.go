package pubsub

import (
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"eventserver/infra"
	"eventserver/infra/brokertest"
	"eventserver/infra/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func on(t *testing.T, l local.Config, cfg Config) infra.Broker {
	t.Helper()
	if os.Getenv("EVENTSERVER_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	log, err := local.Open(l)
	require.NoError(t, err)
	b, err := New(log, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestConformance(t *testing.T) {
	const window = 20
	l := local.Config{Partitions: 4, MaxRecordBytes: 1 << 20}
	cfg := Config{WindowMessages: window, WindowKey: window, ReleaseTimeout: time.Second}
	opts := brokertest.Options{Partitions: 4, Window: window, MaxMessageBytes: 1 << 20, Whole: true}
	t.Run("Memory", func(t *testing.T) {
		brokertest.Run(t, func(t *testing.T) infra.Broker { return on(t, l, cfg) }, opts)
	})
	t.Run("Directory", func(t *testing.T) {
		var dirs sync.Map
		open := func(t *testing.T, dir string) infra.Broker {
			l := l
			l.Dir = dir
			b := on(t, l, cfg)
			dirs.Store(b, dir)
			return b
		}
		opts := opts
		opts.Reopen = func(t *testing.T, b infra.Broker) infra.Broker {
			require.NoError(t, b.Close())
			dir, _ := dirs.Load(b)
			return open(t, dir.(string))
		}
		brokertest.Run(t, func(t *testing.T) infra.Broker { return open(t, t.TempDir()) }, opts)
	})
}

func TestBusyKey(t *testing.T) {
	brokertest.RunBusyKey(t, func(t *testing.T) infra.Broker {
		return on(t, local.Config{Partitions: 1}, Config{WindowMessages: brokertest.BusyWindow, WindowKey: brokertest.BusyWindowKey, ReleaseTimeout: time.Second})
	})
}

func TestWatermill(t *testing.T) {
	brokertest.RunWatermill(t, func(t *testing.T, partitions int) infra.Broker {
		return on(t, local.Config{Partitions: int32(partitions)}, Config{ReleaseTimeout: 500 * time.Millisecond})
	})
}
