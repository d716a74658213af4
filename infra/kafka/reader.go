package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// Reader reads whole topics beside the consumer groups. It joins no group,
// commits nothing and makes nothing on the cluster.
type Reader struct {
	cfg     Config
	readers *readers // for its connection alone
	follow  *readers // likewise, of scans that have no end: whatever shares a connection with their long polls waits for each
}

var _ infra.Reader = (*Reader)(nil)

// OpenReader connects to the cluster. It returns an error when no broker answers.
func OpenReader(cfg Config) (*Reader, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	r := newReader(cfg)
	if _, err := r.readers.connected(); err != nil {
		return nil, fmt.Errorf("kafka: connect to %s: %w", strings.Join(cfg.Brokers, ", "), err)
	}
	return r, nil
}

// newReader connects when it is first asked.
func newReader(cfg Config) *Reader {
	return &Reader{cfg: cfg, readers: &readers{cfg: cfg, wait: scanWait}, follow: &readers{cfg: cfg, wait: scanWait}}
}

// Close releases the connections.
func (r *Reader) Close() error { return errors.Join(r.readers.close(), r.follow.close()) }

// Topics returns the real names of the topics that have the configured prefix,
// sorted, without those of Kafka itself.
func (r *Reader) Topics() ([]string, error) {
	client, err := r.readers.connected()
	if err != nil {
		return nil, err
	}
	all, err := client.Topics()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(name string) bool {
		return strings.HasPrefix(name, "__") || !strings.HasPrefix(name, r.cfg.TopicPrefix)
	})
	slices.Sort(all)
	return all, nil
}

// RealName is what a topic is called on the cluster.
func (r *Reader) RealName(logical string) string { return r.cfg.topic(logical) }

// partitions are those of a topic, by its real name.
func (r *Reader) partitions(real string) (sarama.Client, []int32, error) {
	client, err := r.readers.connected()
	if err != nil {
		return nil, nil, err
	}
	known, err := client.Topics()
	if err != nil {
		return nil, nil, err
	}
	if !slices.Contains(known, real) { // to ask for its partitions would be to wait for the client's retries
		if err := client.RefreshMetadata(); err != nil {
			return nil, nil, err
		}
		if known, err = client.Topics(); err != nil {
			return nil, nil, err
		}
	}
	if !slices.Contains(known, real) {
		return nil, nil, fmt.Errorf("topic %s %w", real, infra.ErrNoTopic)
	}
	parts, err := client.Partitions(real)
	if err != nil {
		return nil, nil, fmt.Errorf("topic %s: %w", real, err)
	}
	return client, parts, nil
}

// Bounds implements infra.Reader.
func (r *Reader) Bounds(ctx context.Context, topic string, since time.Time) (map[int32]infra.Bounds, error) {
	real := r.RealName(topic)
	out, err := r.bounds(ctx, real, since)
	if errors.Is(err, sarama.ErrUnknownTopicOrPartition) { // deleted: the client remembers it
		return nil, fmt.Errorf("topic %s %w", real, infra.ErrNoTopic)
	}
	return out, err
}

func (r *Reader) bounds(ctx context.Context, real string, since time.Time) (map[int32]infra.Bounds, error) {
	return inContext(ctx, func() (map[int32]infra.Bounds, error) {
		client, parts, err := r.partitions(real)
		if err != nil {
			return nil, err
		}
		oldest, err := listOffsets(client, real, parts, sarama.OffsetOldest)
		if err != nil {
			return nil, err
		}
		at := oldest
		if !since.IsZero() {
			// before 1970 there are -1 and -2, which ask for the ends, and what no broker takes
			if at, err = listOffsets(client, real, parts, max(since.UnixMilli(), 0)); err != nil {
				return nil, err
			}
		}
		end, err := listOffsets(client, real, parts, sarama.OffsetNewest)
		if err != nil {
			return nil, err
		}
		out := make(map[int32]infra.Bounds, len(parts))
		for _, p := range parts {
			b := infra.Bounds{Oldest: oldest[p], At: at[p], End: max(end[p], oldest[p])}
			if b.At < 0 { // nothing is as young
				b.At = b.End
			}
			out[p] = b
		}
		return out, nil
	})
}

// listOffsets asks for all partitions of a topic at once. at is milliseconds, or
// sarama.OffsetOldest or OffsetNewest.
func listOffsets(client sarama.Client, real string, parts []int32, at int64) (map[int32]int64, error) {
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return nil, err
	}
	ask := map[int32]int64{}
	for _, p := range parts {
		ask[p] = at
	}
	answers, err := admin.ListOffsets(map[string]map[int32]int64{real: ask}, nil)
	hangUp(err, client.Brokers()...)
	if err != nil {
		return nil, fmt.Errorf("topic %s: %w", real, err)
	}
	out := make(map[int32]int64, len(parts))
	for _, p := range parts {
		a := answers[real][p]
		if a == nil {
			return nil, fmt.Errorf("topic %s, partition %d: %w", real, p, sarama.ErrIncompleteResponse)
		}
		if a.Err != nil && !errors.Is(a.Err, sarama.ErrNoError) {
			return nil, fmt.Errorf("topic %s, partition %d: %w", real, p, a.Err)
		}
		out[p] = a.Offset
	}
	return out, nil
}

// Place implements infra.Reader.
func (r *Reader) Place(ctx context.Context, topic, key string) (int32, error) {
	real := r.RealName(topic)
	return inContext(ctx, func() (int32, error) {
		_, parts, err := r.partitions(real)
		if err != nil {
			return 0, err
		}
		return sarama.NewMurmur2Partitioner(real).Partition(&sarama.ProducerMessage{Key: sarama.StringEncoder(key)}, int32(len(parts)))
	})
}

// Scan implements infra.Reader. Messages have the topic's real name.
func (r *Reader) Scan(ctx context.Context, topic string, ranges map[int32]infra.Range, f func(m *message.Message, at time.Time) error) error {
	from := r.readers
	for _, rng := range ranges {
		if rng.To == infra.Forever {
			from = r.follow
		}
	}
	client, err := from.connected()
	if err != nil {
		return fmt.Errorf("read topic %s: %w", r.RealName(topic), err)
	}
	s := &scan{client: client, log: r.cfg.Logger, topic: r.RealName(topic), next: map[int32]int64{}, ranges: maps.Clone(ranges), f: f}
	for p, rng := range ranges {
		if rng.From < rng.To {
			s.next[p] = rng.From
		}
	}
	return s.run(ctx)
}
