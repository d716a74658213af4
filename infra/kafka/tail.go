package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
)

// Tail reads whole topics beside the consumer groups, for people to look at. It
// joins no group, commits nothing and makes nothing on the cluster.
type Tail struct {
	cfg     Config
	readers *readers
}

// tailWait is the longest wait of a fetch that finds nothing new. What is
// written meanwhile ends it. Closing may take as long.
const tailWait = 250 * time.Millisecond

// OpenTail connects to the cluster. It returns an error when no broker answers.
func OpenTail(cfg Config) (*Tail, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	t := &Tail{cfg: cfg, readers: &readers{cfg: cfg, wait: tailWait}}
	if _, err := t.readers.connected(); err != nil {
		return nil, fmt.Errorf("kafka: connect to %s: %w", strings.Join(cfg.Brokers, ", "), err)
	}
	return t, nil
}

// Close releases the connection. Read must have returned.
func (t *Tail) Close() error { return t.readers.close() }

// Topics returns the real names of the topics that have the configured prefix,
// sorted, without those of Kafka itself.
func (t *Tail) Topics() ([]string, error) {
	client, err := t.readers.connected()
	if err != nil {
		return nil, err
	}
	all, err := client.Topics()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(name string) bool {
		return strings.HasPrefix(name, "__") || !strings.HasPrefix(name, t.cfg.TopicPrefix)
	})
	slices.Sort(all)
	return all, nil
}

// RealName is what a topic is called on the cluster.
func (t *Tail) RealName(logical string) string { return t.cfg.topic(logical) }

// Start says where a Tail begins to read. The zero Start is the end of the
// topic, at the time of the call.
type Start struct {
	Beginning bool      // with the oldest records there are
	Since     time.Time // with those written then or later
}

// Watcher is called by Tail.Read, one call at a time.
type Watcher struct {
	// Started is called once, when it is settled where to begin: what is
	// written from now on is seen. nil: nobody is told.
	Started func(partitions int)
	// Record gets the records, those of a partition by offset; the metadata has
	// their coordinates, with the topic's real name. at is the record's own
	// time. An error ends Read.
	Record func(m *message.Message, at time.Time) error
	// Trouble gets what a partition cannot be read for. It is tried again until
	// Trouble returns an error, which ends Read.
	Trouble func(partition int32, err error) error
}

// ErrNoTopic is wrapped by the error of a Read of a topic that does not exist.
var ErrNoTopic = errors.New("does not exist")

// errTrimmed is the Trouble of a partition whose next records were deleted.
var errTrimmed = errors.New("records were deleted before they could be read; reading goes on with the oldest there are")

// errEnded is a partition reader that sarama has closed. It is opened again,
// which tells why.
var errEnded = errors.New("the partition's reader ended")

// tailed is a record, or what a partition cannot be read for.
type tailed struct {
	rec       *sarama.ConsumerMessage
	partition int32
	err       error
}

// Read hands the records of a topic to w until ctx ends or w returns an error,
// which is returned. The topic's partitions are those it has at the start: ones
// that it gains later are not read.
func (t *Tail) Read(ctx context.Context, topic string, from Start, w Watcher) error {
	real := t.RealName(topic)
	offsets, err := inContext(ctx, func() (map[int32]int64, error) { return t.offsets(real, from) })
	if err != nil {
		return err
	}
	client, err := t.readers.connected()
	if err != nil {
		return err
	}
	// One for all partitions: it asks a broker for all of them at once. More
	// would wait for each other's long polls.
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer func() {
		cancel()
		wg.Wait()
		_ = consumer.Close() // nothing is open in it
	}()
	out := make(chan tailed)
	for p, offset := range offsets { // all at once: to open one takes questions that wait behind the long polls of others
		f := &follower{consumer: consumer, client: client, topic: real, partition: p, next: offset, out: out}
		wg.Go(func() { f.run(ctx) })
	}
	if w.Started != nil {
		w.Started(len(offsets))
	}
	for {
		var got tailed
		select {
		case <-ctx.Done():
			return ctx.Err()
		case got = <-out:
		}
		if got.err != nil {
			err = w.Trouble(got.partition, got.err)
		} else {
			m := marshaler{}.unmarshal(real, got.rec)
			err = w.Record(m, got.rec.Timestamp)
		}
		if err != nil {
			return err
		}
	}
}

// offsets is where to begin, for each partition.
func (t *Tail) offsets(real string, from Start) (map[int32]int64, error) {
	names, err := t.Topics()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, real) { // to ask the client would be to wait for its retries
		return nil, fmt.Errorf("topic %s %w", real, ErrNoTopic)
	}
	client, err := t.readers.connected()
	if err != nil {
		return nil, err
	}
	parts, err := client.Partitions(real)
	if err != nil {
		return nil, fmt.Errorf("topic %s: %w", real, err)
	}
	offsets := map[int32]int64{}
	for _, p := range parts {
		at := sarama.OffsetNewest
		switch {
		case from.Beginning:
			at = sarama.OffsetOldest
		case !from.Since.IsZero():
			at = from.Since.UnixMilli()
		}
		offset, err := client.GetOffset(real, p, at)
		if err == nil && offset < 0 { // nothing is as young
			offset, err = client.GetOffset(real, p, sarama.OffsetNewest)
		}
		if err != nil {
			return nil, fmt.Errorf("topic %s, partition %d: %w", real, p, err)
		}
		offsets[p] = offset
	}
	return offsets, nil
}

// follower reads one partition.
type follower struct {
	consumer  sarama.Consumer
	client    sarama.Client
	topic     string
	partition int32
	next      int64 // offset
	out       chan<- tailed
}

// run reads until ctx ends.
func (f *follower) run(ctx context.Context) {
	const pause = time.Second // before a partition that could not be opened is tried again
	for {
		err := f.read(ctx)
		if errors.Is(err, sarama.ErrOffsetOutOfRange) {
			err = f.reposition()
		}
		if ctx.Err() != nil || (err != nil && !errors.Is(err, errEnded) && !f.send(ctx, tailed{err: err})) {
			return
		}
		if err == nil || errors.Is(err, errTrimmed) {
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func (f *follower) send(ctx context.Context, t tailed) bool {
	t.partition = f.partition
	select {
	case f.out <- t:
		return true
	case <-ctx.Done():
		return false
	}
}

// read opens the partition and reads it until it ends.
func (f *follower) read(ctx context.Context) error {
	pc, err := f.consumer.ConsumePartition(f.topic, f.partition, f.next)
	if err != nil {
		return err
	}
	defer func() { _ = pc.Close() }() // it returns the read errors, which nobody waits for now
	for {
		var got tailed
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err, ok := <-pc.Errors():
			switch {
			case !ok:
				return errEnded
			case errors.Is(err, sarama.ErrOffsetOutOfRange):
				return err
			}
			got.err = err.Err // sarama tries again
		case rec, ok := <-pc.Messages():
			if !ok {
				return errEnded
			}
			got.rec = rec
		}
		if !f.send(ctx, got) {
			return ctx.Err()
		}
		if got.rec != nil {
			f.next = got.rec.Offset + 1
		}
	}
}

// reposition goes to the oldest record when the next one was deleted, or to the
// end when the partition is shorter than it was. It returns errTrimmed when it
// is known where to go on.
func (f *follower) reposition() error {
	oldest, err := f.client.GetOffset(f.topic, f.partition, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	newest, err := f.client.GetOffset(f.topic, f.partition, sarama.OffsetNewest)
	if err != nil {
		return err
	}
	if f.next >= oldest && f.next <= newest {
		return nil
	}
	f.next = min(max(f.next, oldest), newest)
	return errTrimmed
}
