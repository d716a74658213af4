package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventserver/infra"
)

// ErrClosed is returned by methods of a closed log.
var ErrClosed = errors.New("kafka: closed")

// Log is an infra.Log on a Kafka cluster.
type Log struct {
	cfg Config
	// client produces, reads behind the live end, commits and asks, on a connection for
	// each of them.
	client    *kgo.Client
	admin     *kadm.Client
	topics    topics
	producer  producer
	fetches   fetches
	followers followers
	commits   commits
	members   members

	closed atomic.Bool
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	closer sync.Once
}

var _ infra.Log = (*Log)(nil)

// Open connects to the cluster. It returns an error when no broker answers.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	l := &Log{cfg: cfg}
	if l.client, err = kgo.NewClient(append(cfg.client(ClientWork), cfg.producing()...)...); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	if err := l.client.Ping(ctx); err != nil {
		l.client.Close()
		return nil, fmt.Errorf("kafka: connect to %s: %w", strings.Join(cfg.Brokers, ", "), err)
	}
	following, err := kgo.NewClient(cfg.client(ClientLive)...)
	if err != nil {
		l.client.Close()
		return nil, fmt.Errorf("kafka: %w", err)
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.admin = kadm.NewClient(l.client)
	l.topics.init(l)
	l.producer.init(l)
	l.fetches.init(l)
	l.followers.init(l, following)
	l.commits.init(l)
	l.members.init(l)
	return l, nil
}

// Limits implements infra.Log.
func (l *Log) Limits() infra.Limits {
	return infra.Limits{RecordBytes: l.cfg.MaxMessageBytes, ProgressBytes: metadataBytes - markBytes}
}

// usable refuses calls after Close, and calls with an ended context.
func (l *Log) usable(ctx context.Context) error {
	if l.closed.Load() {
		return ErrClosed
	}
	return ctx.Err()
}

// Ping implements infra.Log.
func (l *Log) Ping(ctx context.Context) error {
	if err := l.usable(ctx); err != nil {
		return err
	}
	if err := l.client.Ping(ctx); err != nil {
		return fmt.Errorf("none of %s answers: %w", strings.Join(l.cfg.Brokers, ", "), err)
	}
	return nil
}

// Close implements infra.Log.
func (l *Log) Close() error {
	l.closer.Do(func() {
		l.closed.Store(true)
		l.members.close() // its claims keep their progress
		l.cancel()
		l.followers.close()
		l.producer.close()
		l.client.Close()
		l.commits.close()
		l.fetches.close()
	})
	return nil
}
