package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"eventserver/infra"
	"eventserver/infra/kafka"
)

// Config says where the records live.
type Config struct {
	// Dir holds the records. Empty: memory only, lost at Close (tests).
	Dir string
	// NoSync leaves writes to the operating system: a crash of the machine
	// can lose the last events; a crash of this process cannot.
	NoSync bool
	// TrimAge is how long a record stays after every group has done it.
	// Default 1 h. Records that some group has not done are never removed.
	TrimAge time.Duration
	// Kafka is the client's configuration; Brokers is filled in.
	Kafka kafka.Config
}

// Broker is an infra.Broker with the cluster in this process.
type Broker struct {
	*kafka.Broker
	cluster *kfake.Cluster
	lock    *os.File
	trim    *trimmer
	once    sync.Once
	err     error
}

var _ infra.Broker = (*Broker)(nil)

// New starts the cluster and connects to it.
func New(cfg Config) (*Broker, error) {
	if cfg.TrimAge == 0 {
		cfg.TrimAge = time.Hour
	}
	if cfg.TrimAge < 0 {
		return nil, errors.New("embedded: TrimAge is negative")
	}
	b := &Broker{}
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.GroupMinSessionTimeout(100 * time.Millisecond),
		kfake.ClusterID("eventserver"),
	}
	if cfg.Dir != "" {
		lock, err := lockDir(cfg.Dir)
		if err != nil {
			return nil, err
		}
		b.lock = lock
		opts = append(opts, kfake.DataDir(filepath.Join(cfg.Dir, "broker")))
		if !cfg.NoSync {
			opts = append(opts, kfake.SyncWrites())
		}
	}
	if cfg.Kafka.Logger != nil {
		opts = append(opts, kfake.WithLogger(clusterLogger{cfg.Kafka.Logger}))
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("embedded: start in %q: %w", cfg.Dir, err), b.unlock())
	}
	b.cluster = cluster
	cfg.Kafka.Brokers = cluster.ListenAddrs()
	cfg.Kafka.Retention = 0 // trimmed by what is done, never by age alone
	b.Broker, err = kafka.New(cfg.Kafka)
	if err != nil {
		cluster.Close()
		return nil, errors.Join(err, b.unlock())
	}
	b.trim = newTrimmer(b.Broker, cfg.TrimAge)
	return b, nil
}

// Addrs returns the loopback addresses where the cluster speaks Kafka's protocol.
func (b *Broker) Addrs() []string { return b.cluster.ListenAddrs() }

// EnsureTopics implements infra.Broker.
func (b *Broker) EnsureTopics(ctx context.Context, topics ...infra.Topic) error {
	if err := b.Broker.EnsureTopics(ctx, topics...); err != nil {
		return err
	}
	b.trim.watch(topics)
	return nil
}

// Close implements infra.Broker.
func (b *Broker) Close() error {
	b.once.Do(func() {
		b.trim.stop()
		b.err = b.Broker.Close()
		b.cluster.Close()
		b.err = errors.Join(b.err, b.unlock())
	})
	return b.err
}

func (b *Broker) unlock() error {
	if b.lock == nil {
		return nil
	}
	return b.lock.Close()
}

// clusterLogger passes the cluster's warnings to slog.
type clusterLogger struct{ log *slog.Logger }

func (l clusterLogger) Logf(level kfake.LogLevel, format string, args ...any) {
	if level > kfake.LogLevelWarn {
		return
	}
	l.log.Warn("embedded broker", slog.String("message", fmt.Sprintf(format, args...)))
}
