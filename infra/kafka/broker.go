package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/time/rate"

	"eventserver/infra"
)

// Broker is an infra.Broker on a Kafka cluster.
type Broker struct {
	*Reader
	cfg        Config
	client     sarama.Client
	admin      sarama.ClusterAdmin
	pub        *publisher
	readers    *readers
	commits    *rate.Limiter // of all groups together
	pace       pace
	releaseFor atomic.Int64 // ReleaseTimeout, which AllowRelease raises

	mu     sync.Mutex
	subs   map[*subscriber]struct{}
	taken  map[string]struct{} // static instance ids in use in this process
	closed bool
}

var _ infra.Broker = (*Broker)(nil)

// New connects to the cluster. It returns an error when no broker answers.
func New(cfg Config) (*Broker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	client, err := sarama.NewClient(cfg.Brokers, cfg.client())
	if err != nil {
		return nil, fmt.Errorf("kafka: connect to %s: %w", strings.Join(cfg.Brokers, ", "), err)
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("kafka: admin: %w", err), client.Close())
	}
	b := &Broker{cfg: cfg, client: client, admin: admin, commits: rate.NewLimiter(commitsPerSecond, 1),
		subs: map[*subscriber]struct{}{}, taken: map[string]struct{}{}}
	b.releaseFor.Store(int64(cfg.ReleaseTimeout))
	prompt, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("kafka: producer: %w", err), client.Close())
	}
	lingering := cfg.client()
	lingering.Producer.Flush.Frequency = busyLinger
	busy, err := sarama.NewSyncProducer(cfg.Brokers, lingering)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("kafka: producer: %w", err), prompt.Close(), client.Close())
	}
	b.readers, b.Reader = &readers{cfg: cfg, wait: backfillWait}, newReader(cfg)
	b.pub = &publisher{prompt: prompt, busy: busy, topic: b.topic, limit: cfg.MaxMessageBytes}
	return b, nil
}

// topic is the real name of a logical topic.
func (b *Broker) topic(logical string) string { return b.cfg.topic(logical) }

// logical is the name that the router knows a real topic by.
func (b *Broker) logical(real string) string {
	name := strings.TrimPrefix(real, b.cfg.TopicPrefix)
	for logical, other := range b.cfg.TopicNames {
		if other == name {
			return logical
		}
	}
	return name
}

// stockInstance is the static id of a stock subscriber, one for each group.
func (b *Broker) stockInstance(group string) string {
	if b.cfg.InstanceID == "" {
		return ""
	}
	return b.cfg.InstanceID + "." + b.group(group)
}

// fenced stops a process whose place in the group another one took. To join
// again would throw that one out in turn, for ever.
func (b *Broker) fenced(err error) {
	b.cfg.Fatal(fmt.Errorf("another process runs with the same broker.instance_id; give each process its own: %w", err))
}

func (b *Broker) group(logical string) string { return b.cfg.TopicPrefix + logical }

// Publisher implements infra.Broker: with acks=all every message is durable.
func (b *Broker) Publisher(infra.Durability) message.Publisher { return b.pub }

// Subscriber implements infra.Broker. Each Subscribe is one member of the
// group with a connection of its own: sarama's groups cannot share a client.
func (b *Broker) Subscriber(group string, cfg infra.SubscriberConfig) (infra.Subscriber, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, ErrClosed
	}
	if b.cfg.Stock {
		return b.newStock(b.group(group), b.stockInstance(group), cfg)
	}
	s := &subscriber{broker: b, group: b.group(group), cfg: cfg}
	b.subs[s] = struct{}{}
	return s, nil
}

// instance reserves a static instance id for a subscription, "" without one.
func (b *Broker) instance(group, topic string) string {
	if b.cfg.InstanceID == "" {
		return ""
	}
	base := b.cfg.InstanceID + "." + group + "." + topic
	b.mu.Lock()
	defer b.mu.Unlock()
	for n := 0; ; n++ {
		id := base
		if n > 0 {
			id += "." + strconv.Itoa(n)
		}
		if _, used := b.taken[id]; !used {
			b.taken[id] = struct{}{}
			return id
		}
	}
}

func (b *Broker) release(instance string) {
	b.mu.Lock()
	delete(b.taken, instance)
	b.mu.Unlock()
}

// AllowRelease implements infra.Broker.
func (b *Broker) AllowRelease(d time.Duration) {
	for {
		now := b.releaseFor.Load()
		if int64(d) <= now || b.releaseFor.CompareAndSwap(now, int64(d)) {
			return
		}
	}
}

func (b *Broker) releaseTimeout() time.Duration { return time.Duration(b.releaseFor.Load()) }

// Ping implements infra.Broker.
func (b *Broker) Ping(ctx context.Context) error {
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return ErrClosed
	}
	_, err := inContext(ctx, func() (struct{}, error) {
		_, _, err := b.admin.DescribeCluster()
		b.asked("", err)
		return struct{}{}, err
	})
	if err != nil {
		return fmt.Errorf("none of %s answers: %w", strings.Join(b.cfg.Brokers, ", "), err)
	}
	return nil
}

// Close implements infra.Broker.
func (b *Broker) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	subs := make([]*subscriber, 0, len(b.subs))
	for s := range b.subs {
		subs = append(subs, s)
	}
	b.mu.Unlock()
	var errs []error
	for _, s := range subs {
		errs = append(errs, s.Close())
	}
	errs = append(errs, b.readers.close(), b.Reader.Close(), b.pub.shut(), b.admin.Close()) // closes the shared client too
	return errors.Join(errs...)
}

// inContext runs a call of a library that knows no context. When ctx ends
// first the call goes on behind it, bounded by the client's own timeouts; its
// result goes nowhere.
func inContext[T any](ctx context.Context, call func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	if err := ctx.Err(); err != nil {
		return *new(T), err
	}
	done := make(chan answer, 1)
	go func() {
		v, err := call()
		done <- answer{v, err}
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		return *new(T), ctx.Err()
	}
}
