package kafka

import (
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// backfillWait is short: a pass ends at records that exist and hardly ever waits.
const backfillWait = 50 * time.Millisecond

// readers open partitions beside the consumer groups, to read again what a
// group has read past. They have a client of their own: a fetch would hold up
// whatever shares its connection.
type readers struct {
	cfg  Config
	wait time.Duration // longest wait of a fetch where there is nothing new

	mu     sync.Mutex
	client sarama.Client // nil until the first open
	closed bool
}

// partitionReader is one open partition.
type partitionReader struct {
	sarama.PartitionConsumer
	consumer sarama.Consumer // holds nothing else
}

// open reads topic's partition from offset on.
func (r *readers) open(topic string, partition int32, offset int64) (*partitionReader, error) {
	client, err := r.connected()
	if err != nil {
		return nil, err
	}
	consumer, err := sarama.NewConsumerFromClient(client) // one cannot read a partition twice at a time
	if err != nil {
		return nil, err
	}
	pc, err := consumer.ConsumePartition(topic, partition, offset)
	if err != nil {
		_ = consumer.Close() // nothing is open in it
		return nil, err
	}
	return &partitionReader{PartitionConsumer: pc, consumer: consumer}, nil
}

// close ends the reading; what was fetched and not received is dropped.
func (p *partitionReader) close() {
	_ = p.Close() // it returns the read errors, which nobody waits for now
	_ = p.consumer.Close()
}

func (r *readers) connected() (sarama.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	if r.client != nil {
		return r.client, nil
	}
	s := r.cfg.client()
	s.Consumer.Return.Errors = true
	s.Consumer.MaxWaitTime = r.wait
	s.Consumer.Fetch.Default = 256 << 10
	s.ChannelBufferSize = 64
	client, err := sarama.NewClient(r.cfg.Brokers, s)
	if err != nil {
		return nil, err
	}
	r.client = client
	return client, nil
}

func (r *readers) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.client == nil {
		return nil
	}
	return r.client.Close()
}
