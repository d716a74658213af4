package pubsub

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/infra/progress"
)

// ErrClosed is returned by methods of a closed broker or subscriber.
var ErrClosed = errors.New("the broker is closed")

// broker is an infra.Broker on a log.
type broker struct {
	log        infra.Log
	cfg        Config
	codec      progress.Codec
	partitions sync.Map     // by topic, int32
	releaseFor atomic.Int64 // ReleaseTimeout, which AllowRelease raises
	trim       *trimmer
	budget     *budget
	closed     atomic.Bool

	mu    sync.Mutex
	subs  map[*subscriber]struct{}
	lives map[string]*live // by topic
}

var _ infra.Broker = (*broker)(nil)

// New makes a broker of log. Closing the broker closes log.
func New(log infra.Log, cfg Config) (infra.Broker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("pubsub: %w", err)
	}
	b := &broker{log: log, cfg: cfg, codec: progress.Codec{Limit: log.Limits().ProgressBytes}, subs: map[*subscriber]struct{}{}, lives: map[string]*live{}, budget: newBudget(cfg.Memory)}
	b.releaseFor.Store(int64(cfg.ReleaseTimeout))
	b.trim = newTrimmer(b, cfg.TrimAge)
	return b, nil
}

// EnsureTopics implements infra.Broker.
func (b *broker) EnsureTopics(ctx context.Context, topics ...infra.Topic) error {
	if err := b.usable(ctx); err != nil {
		return err
	}
	if err := b.log.CreateTopics(ctx, topics...); err != nil {
		return err
	}
	b.trim.watch(topics)
	return nil
}

// Topics implements infra.Broker.
func (b *broker) Topics(ctx context.Context) ([]string, error) { return b.log.Topics(ctx) }

// DeleteTopics implements infra.Broker.
func (b *broker) DeleteTopics(ctx context.Context, topics ...string) error {
	b.trim.forget(topics)
	err := b.log.DeleteTopics(ctx, topics...)
	for _, t := range topics {
		b.partitions.Delete(t)
	}
	return err
}

// Publisher implements infra.Broker.
func (b *broker) Publisher(d infra.Durability) message.Publisher { return publisher{b, d} }

// Subscriber implements infra.Broker.
func (b *broker) Subscriber(group string, cfg infra.SubscriberConfig) (infra.Subscriber, error) {
	s := &subscriber{b: b, group: group, cfg: cfg}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed.Load() {
		return nil, ErrClosed
	}
	b.subs[s] = struct{}{}
	return s, nil
}

// AllowRelease implements infra.Broker.
func (b *broker) AllowRelease(d time.Duration) {
	for {
		now := b.releaseFor.Load()
		if int64(d) <= now || b.releaseFor.CompareAndSwap(now, int64(d)) {
			return
		}
	}
}

func (b *broker) releaseTimeout() time.Duration { return time.Duration(b.releaseFor.Load()) }

func (b *broker) usable(ctx context.Context) error {
	if b.closed.Load() {
		return ErrClosed
	}
	return ctx.Err()
}

// Ping implements infra.Broker.
func (b *broker) Ping(ctx context.Context) error {
	if err := b.usable(ctx); err != nil {
		return err
	}
	return b.log.Ping(ctx)
}

// Close implements infra.Broker.
func (b *broker) Close() error {
	b.mu.Lock()
	if b.closed.Swap(true) {
		b.mu.Unlock()
		return nil
	}
	subs := slices.Collect(maps.Keys(b.subs))
	b.mu.Unlock()
	b.trim.stop()
	var errs []error
	for _, s := range subs {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, b.log.Close())...)
}
