package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// Broker is an infra.Broker on a Kafka cluster.
type Broker struct {
	cfg     Config
	client  sarama.Client
	admin   sarama.ClusterAdmin
	pub     *publisher
	readers *readers

	mu     sync.Mutex
	subs   map[*subscriber]struct{}
	taken  map[string]struct{} // static instance ids in use in this process
	closed bool
}

var (
	_ infra.Broker    = (*Broker)(nil)
	_ infra.LagReader = (*Broker)(nil)
)

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
	b := &Broker{cfg: cfg, client: client, admin: admin,
		subs: map[*subscriber]struct{}{}, taken: map[string]struct{}{}}
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
	b.readers = &readers{cfg: cfg}
	b.pub = &publisher{prompt: prompt, busy: busy, topic: b.topic, limit: cfg.MaxMessageBytes}
	return b, nil
}

// topic is the real name of a logical topic.
func (b *Broker) topic(logical string) string {
	if real, ok := b.cfg.TopicNames[logical]; ok {
		logical = real
	}
	return b.cfg.TopicPrefix + logical
}

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

// Publisher implements infra.Broker.
func (b *Broker) Publisher() message.Publisher { return b.pub }

// Subscriber implements infra.Broker. Each Subscribe is one member of the
// group with a connection of its own: sarama's groups cannot share a client.
func (b *Broker) Subscriber(group string) (message.Subscriber, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, ErrClosed
	}
	if b.cfg.Stock {
		return b.newStock(b.group(group), b.stockInstance(group))
	}
	s := newSubscriber(b, b.group(group))
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

// EnsureTopics implements infra.Broker. A topic that exists is checked: it is
// an error when its settings lose events.
func (b *Broker) EnsureTopics(ctx context.Context, topics ...infra.Topic) error {
	_, err := inContext(ctx, func() (struct{}, error) {
		var errs []error
		var created []string
		for _, t := range topics {
			real := b.topic(t.Name)
			err := b.admin.CreateTopic(real, b.topicDetail(t), false)
			if err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) {
				errs = append(errs, fmt.Errorf("create topic %s: %w", real, err))
				continue
			}
			if err != nil {
				errs = append(errs, b.checkTopic(real, t))
			} else {
				created = append(created, real)
			}
		}
		if err := errors.Join(errs...); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, b.awaitTopics(ctx, topics, created)
	})
	return err
}

func (b *Broker) topicDetail(t infra.Topic) *sarama.TopicDetail {
	set := func(s string) *string { return &s }
	entries := map[string]*string{
		"max.message.bytes":              set(strconv.Itoa(b.cfg.MaxMessageBytes)),
		"unclean.leader.election.enable": set("false"),
		"retention.ms":                   set("-1"),
	}
	if b.cfg.Retention > 0 && !t.Keep {
		entries["retention.ms"] = set(strconv.FormatInt(b.cfg.Retention.Milliseconds(), 10))
	}
	if b.cfg.Replication >= 3 {
		entries["min.insync.replicas"] = set("2")
	}
	return &sarama.TopicDetail{NumPartitions: b.cfg.Partitions, ReplicationFactor: b.cfg.Replication, ConfigEntries: entries}
}

// checkTopic refuses settings of an existing topic that break durability.
func (b *Broker) checkTopic(real string, t infra.Topic) error {
	results, err := b.admin.DescribeConfigs([]*sarama.ConfigResource{{Type: sarama.TopicResource, Name: real}}, sarama.DescribeConfigsOptions{})
	if err != nil {
		return fmt.Errorf("describe topic %s: %w", real, err)
	}
	var entries []sarama.ConfigEntry
	var errs []error
	if described, err := b.admin.DescribeTopics([]string{real}); err == nil && len(described) == 1 {
		for _, p := range described[0].Partitions {
			if len(p.Replicas) < int(b.cfg.Replication) {
				errs = append(errs, fmt.Errorf("topic %s: partition %d has %d copies, fewer than broker.replication %d; reassign it, or lower the setting",
					real, p.ID, len(p.Replicas), b.cfg.Replication))
				break
			}
		}
		if n := len(described[0].Partitions); n != int(b.cfg.Partitions) {
			b.cfg.Logger.Warn("topic exists with another number of partitions; it is used as it is", slog.String("topic", real),
				slog.Int("partitions", n), slog.Int("configured", int(b.cfg.Partitions)))
		}
	}
	for _, r := range results {
		if r.ErrorCode != sarama.ErrNoError {
			errs = append(errs, fmt.Errorf("describe topic %s: %w", real, r.ErrorCode))
		}
		entries = append(entries, r.Configs...)
	}
	bad := func(key, value, cure string) {
		errs = append(errs, fmt.Errorf("topic %s: %s=%s loses events; set %s", real, key, value, cure))
	}
	for _, e := range entries {
		switch e.Name {
		case "cleanup.policy":
			if strings.Contains(e.Value, "compact") {
				bad(e.Name, e.Value, "cleanup.policy=delete")
			}
		case "retention.ms":
			if ms, err := strconv.ParseInt(e.Value, 10, 64); err == nil && ms >= 0 {
				switch keep := b.cfg.Retention; {
				case t.Keep:
					bad(e.Name, e.Value, "it to -1, poisoned events are kept until somebody redrives them")
				case keep <= 0:
					bad(e.Name, e.Value, "it to -1, or broker.retention to what it is meant to be")
				case time.Duration(ms)*time.Millisecond < keep:
					bad(e.Name, e.Value, fmt.Sprintf("it to %d or more, or broker.retention to less than %v", keep.Milliseconds(), keep))
				}
			}
		case "retention.bytes":
			if n, err := strconv.ParseInt(e.Value, 10, 64); err == nil && n >= 0 {
				bad(e.Name, e.Value, "it to -1")
			}
		case "unclean.leader.election.enable":
			if e.Value == "true" {
				bad(e.Name, e.Value, "it to false")
			}
		case "max.message.bytes":
			if n, err := strconv.Atoi(e.Value); err == nil && n < b.cfg.MaxMessageBytes {
				errs = append(errs, fmt.Errorf("topic %s: max.message.bytes=%d is below the %d bytes a stored event may need; raise it", real, n, b.cfg.MaxMessageBytes))
			}
		case "min.insync.replicas":
			if n, err := strconv.Atoi(e.Value); err == nil && n < 2 && b.cfg.Replication >= 3 {
				bad(e.Name, e.Value, "it to 2")
			}
		}
	}
	return errors.Join(errs...)
}

// awaitTopics waits until the cluster's metadata shows the topics, and until
// the leaders of those just created know that they are: for a moment after the
// creation they refuse what is asked of them.
func (b *Broker) awaitTopics(ctx context.Context, topics []infra.Topic, created []string) error {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = b.topic(t.Name)
	}
	for {
		err := b.client.RefreshMetadata(names...)
		if err == nil {
			err = b.serve(created)
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// serve asks the leader of every partition for its end.
func (b *Broker) serve(topics []string) error {
	for _, real := range topics {
		partitions, err := b.client.Partitions(real)
		if err != nil {
			return err
		}
		for _, p := range partitions {
			if _, err := b.client.GetOffset(real, p, sarama.OffsetNewest); err != nil {
				return fmt.Errorf("topic %s, partition %d: %w", real, p, err)
			}
		}
	}
	return nil
}

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
		return struct{}{}, err
	})
	return err
}

// Lag implements infra.LagReader. What the commit's metadata says is done
// above the committed offset is not counted.
func (b *Broker) Lag(ctx context.Context, group, topic string) (int64, error) {
	real, g := b.topic(topic), b.group(group)
	return inContext(ctx, func() (int64, error) {
		parts, err := b.client.Partitions(real)
		if err != nil {
			return 0, err
		}
		commits, err := b.admin.ListConsumerGroupOffsets(g, map[string][]int32{real: parts})
		if errors.Is(err, sarama.ErrGroupIDNotFound) { // it has never joined: all is to be done
			commits, err = &sarama.OffsetFetchResponse{}, nil
		}
		if err != nil {
			return 0, err
		}
		var lag int64
		for _, p := range parts {
			newest, err := b.client.GetOffset(real, p, sarama.OffsetNewest)
			if err != nil {
				return 0, err
			}
			at := int64(-1)
			if block := commits.GetBlock(real, p); block != nil && block.Offset >= 0 {
				at = block.Offset
				spans, _ := decodeSpans(at, block.Metadata)
				for _, s := range spans {
					lag -= s.to - s.from
				}
			}
			if at < 0 {
				if at, err = b.client.GetOffset(real, p, sarama.OffsetOldest); err != nil {
					return 0, err
				}
			}
			lag += newest - at
		}
		return max(lag, 0), nil
	})
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
	errs = append(errs, b.readers.close(), b.pub.shut(), b.admin.Close()) // closes the shared client too
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
