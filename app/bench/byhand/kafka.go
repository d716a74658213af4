package byhand

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	commitEvery = 20 * time.Millisecond
	leaveWithin = 5 * time.Second
	metadataAge = 250 * time.Millisecond // else the first event waits seconds for the topic
)

// cluster is the events on Kafka.
type cluster struct {
	client *kgo.Client
	topic  string
	to     []*destination
	quit   context.CancelFunc
	ended  sync.WaitGroup

	mu     sync.Mutex
	logs   map[int32]*log // by partition
	epochs map[int32]int32
}

// openCluster calls ready when it has its partitions.
func openCluster(ctx context.Context, cfg Config, to []*destination, ready func()) (*cluster, error) {
	c := &cluster{topic: cfg.Prefix + "events", to: to, logs: map[int32]*log{}, epochs: map[int32]int32{}}
	if err := createTopic(ctx, cfg, c.topic); err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.DefaultProduceTopic(c.topic), kgo.MetadataMinAge(metadataAge),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(maxBody),
		kgo.ConsumerGroup(cfg.Prefix+"byhand"), kgo.InstanceID("byhand"), // back at once after a kill
		kgo.ConsumeTopics(c.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, all map[string][]int32) {
			if len(all) > 0 {
				ready()
			}
		}), kgo.OnPartitionsRevoked(c.forget), kgo.OnPartitionsLost(c.forget))
	if err != nil {
		return nil, err
	}
	c.client = client
	life, quit := context.WithCancel(ctx)
	c.quit = quit
	c.ended.Go(func() { c.consume(life) })
	c.ended.Go(func() { c.commits(life) })
	return c, nil
}

func createTopic(ctx context.Context, cfg Config, topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...))
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, int32(cfg.Partitions), -1, nil, topic); !errors.Is(err, kerr.TopicAlreadyExists) {
		return err
	}
	return nil
}

func (c *cluster) append(ctx context.Context, events []*event) error {
	var stored sync.WaitGroup
	errs := make([]error, len(events))
	for i, e := range events {
		stored.Add(1)
		c.client.Produce(ctx, &kgo.Record{Key: []byte(e.user), Value: e.body}, func(r *kgo.Record, err error) {
			e.id, errs[i] = recordID(r), err
			stored.Done()
		})
	}
	stored.Wait()
	return errors.Join(errs...)
}

func recordID(r *kgo.Record) string { return fmt.Sprintf("%d-%d", r.Partition, r.Offset) }

func (c *cluster) consume(ctx context.Context) {
	for ctx.Err() == nil {
		fetched := c.client.PollFetches(ctx) // tries again by itself
		c.mu.Lock()
		fetched.EachPartition(func(p kgo.FetchTopicPartition) {
			for _, r := range p.Records {
				c.hand(r)
			}
		})
		c.mu.Unlock()
	}
}

// hand hands a record out. c.mu is held.
func (c *cluster) hand(r *kgo.Record) {
	l := c.logs[r.Partition]
	if l == nil {
		next := make([]int64, len(c.to))
		for i := range next {
			next[i] = r.Offset
		}
		l = newLog(next...)
		c.logs[r.Partition] = l
	}
	c.epochs[r.Partition] = r.LeaderEpoch
	e := &event{id: recordID(r), user: string(r.Key), body: r.Value, offset: r.Offset, log: l}
	for _, t := range c.to {
		t.add(e)
	}
}

// forget commits nothing more of partitions that are gone.
func (c *cluster) forget(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range gone[c.topic] {
		delete(c.logs, p)
	}
}

// commits commits what all destinations have done.
func (c *cluster) commits(ctx context.Context) {
	tick := time.NewTicker(commitEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = c.commit(ctx) // what is not committed is done again
		case <-ctx.Done():
			return
		}
	}
}

func (c *cluster) commit(ctx context.Context) error {
	done := map[int32]kgo.EpochOffset{}
	c.mu.Lock()
	for p, l := range c.logs {
		if least := l.least(); least != l.kept[0] {
			l.kept[0] = least
			done[p] = kgo.EpochOffset{Epoch: c.epochs[p], Offset: least}
		}
	}
	c.mu.Unlock()
	if len(done) == 0 {
		return nil
	}
	var failed error
	c.client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{c.topic: done}, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) {
		failed = err
	})
	return failed
}

// stop hands out nothing more.
func (c *cluster) stop() { c.quit() }

func (c *cluster) close() error {
	c.ended.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	err := c.commit(ctx)
	c.client.Close()
	return err
}
