package byhand

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	commitEvery = 20 * time.Millisecond
	leaveWithin = 5 * time.Second
	notKept     = -1                     // an offset that is none
	metadataAge = 250 * time.Millisecond // else the first event waits seconds for the topic
)

// cluster is the events on Kafka.
type cluster struct {
	producer  *kgo.Client
	topic     string
	consumers []*consumer
	quit      context.CancelFunc
	ended     sync.WaitGroup
}

// consumer reads the events for one destination, in a group of its own: in one for all,
// the position of a destination that is down would hold that of the others, and a
// restart would deliver to them again what they have.
type consumer struct {
	client *kgo.Client
	topic  string
	to     *destination

	mu     sync.Mutex
	logs   map[int32]*log // by partition
	epochs map[int32]int32
}

// openCluster calls ready when each destination has its partitions.
func openCluster(ctx context.Context, cfg Config, to []*destination, ready func()) (*cluster, error) {
	c := &cluster{topic: cfg.Prefix + "events"}
	if err := createTopic(ctx, cfg, c.topic); err != nil {
		return nil, err
	}
	common := []kgo.Opt{kgo.SeedBrokers(cfg.Brokers...), kgo.MetadataMinAge(metadataAge)}
	var err error
	c.producer, err = kgo.NewClient(append(common, kgo.DefaultProduceTopic(c.topic),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(maxBody))...)
	if err != nil {
		return nil, err
	}
	var waiting atomic.Int64
	waiting.Store(int64(len(to)))
	assigned := func() {
		if waiting.Add(-1) == 0 {
			ready()
		}
	}
	for i, d := range to {
		one, err := newConsumer(common, fmt.Sprintf("%sbyhand-%d", cfg.Prefix, i), c.topic, d, sync.OnceFunc(assigned))
		if err != nil {
			c.closeClients()
			return nil, err
		}
		c.consumers = append(c.consumers, one)
	}
	runCtx, quit := context.WithCancel(ctx)
	c.quit = quit
	for _, one := range c.consumers {
		c.ended.Go(func() { one.consume(runCtx) })
		c.ended.Go(func() { one.commits(runCtx) })
	}
	return c, nil
}

func newConsumer(common []kgo.Opt, group, topic string, to *destination, assigned func()) (*consumer, error) {
	c := &consumer{topic: topic, to: to, logs: map[int32]*log{}, epochs: map[int32]int32{}}
	client, err := kgo.NewClient(append(common,
		kgo.ConsumerGroup(group), kgo.InstanceID("byhand"), // back at once after a kill
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, all map[string][]int32) {
			if len(all) > 0 {
				assigned()
			}
		}), kgo.OnPartitionsRevoked(c.forget), kgo.OnPartitionsLost(c.forget))...)
	c.client = client
	return c, err
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
		c.producer.Produce(ctx, &kgo.Record{Key: []byte(e.user), Value: e.body}, func(r *kgo.Record, err error) {
			e.id, errs[i] = recordID(r), err
			stored.Done()
		})
	}
	stored.Wait()
	return errors.Join(errs...)
}

func recordID(r *kgo.Record) string { return fmt.Sprintf("%d-%d", r.Partition, r.Offset) }

func (c *consumer) consume(ctx context.Context) {
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
func (c *consumer) hand(r *kgo.Record) {
	l := c.logs[r.Partition]
	if l == nil {
		l = newLog(r.Offset)
		c.logs[r.Partition] = l
	}
	c.epochs[r.Partition] = r.LeaderEpoch
	c.to.add(&event{id: recordID(r), user: string(r.Key), body: r.Value, offset: r.Offset, log: l})
}

// forget commits nothing more of partitions that are gone.
func (c *consumer) forget(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range gone[c.topic] {
		delete(c.logs, p)
	}
}

// commits commits what the destination has done.
func (c *consumer) commits(ctx context.Context) {
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

func (c *consumer) commit(ctx context.Context) error {
	done := map[int32]kgo.EpochOffset{}
	c.mu.Lock()
	for p, l := range c.logs {
		if next := l.windows[0].kept(); next != l.kept[0] {
			l.kept[0] = next
			done[p] = kgo.EpochOffset{Epoch: c.epochs[p], Offset: next}
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
	if failed != nil { // the last one, after a stop, commits it again
		c.mu.Lock()
		defer c.mu.Unlock()
		for p := range done {
			if l := c.logs[p]; l != nil {
				l.kept[0] = notKept
			}
		}
	}
	return failed
}

// stop hands out nothing more.
func (c *cluster) stop() { c.quit() }

func (c *cluster) close() error {
	c.ended.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	var errs []error
	for _, one := range c.consumers {
		errs = append(errs, one.commit(ctx))
	}
	c.closeClients()
	return errors.Join(errs...)
}

func (c *cluster) closeClients() {
	c.producer.Close()
	for _, one := range c.consumers {
		one.client.Close()
	}
}
