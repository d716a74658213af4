package kafka

import (
	"context"
	"errors"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// link is a client that has reached the cluster.
type link struct {
	opts    []kgo.Opt
	company *kgo.Client // its batches have many records

	mu     sync.Mutex
	alone  *kgo.Client           // its batches have one record; nil: not needed yet
	turns  map[int32]*sync.Mutex // of its partitions
	closed bool
}

// single sends a record in a batch of its own: one record of a partition is under
// way at a time. Keys keep their order across the two clients: a key has one record
// under way.
func (l *link) single(ctx context.Context, r *kgo.Record) error {
	client, turn, err := l.turn(r.Partition)
	if err != nil {
		return err
	}
	turn.Lock()
	defer turn.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return client.ProduceSync(ctx, r).FirstErr()
}

// turn makes the second client when a record is refused for the first time.
func (l *link) turn(partition int32) (*kgo.Client, *sync.Mutex, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, nil, kgo.ErrClientClosed
	}
	if l.alone == nil {
		client, err := kgo.NewClient(l.opts...)
		if err != nil {
			return nil, nil, err
		}
		l.alone, l.turns = client, map[int32]*sync.Mutex{}
	}
	if l.turns[partition] == nil {
		l.turns[partition] = new(sync.Mutex)
	}
	return l.alone, l.turns[partition], nil
}

// close ends what is under way with kgo.ErrClientClosed.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.company.Close()
	if l.alone != nil {
		l.alone.Close()
	}
}

// dialling is one try to connect, shared by all sends that need it: with one
// each, the last of a thousand would wait for a thousand timeouts.
type dialling struct {
	done chan struct{}
	link *link
	err  error
}

// connect returns the link, making it if need be. A link that was made once
// stays: the client library finds brokers that moved or came back.
func (d *Destination) connect() (*link, error) {
	d.mu.Lock()
	if d.link != nil {
		defer d.mu.Unlock()
		return d.link, nil
	}
	if try := d.dialling; try != nil {
		d.mu.Unlock()
		<-try.done
		return try.link, try.err
	}
	try := &dialling{done: make(chan struct{})}
	d.dialling = try
	d.mu.Unlock()

	try.link, try.err = d.dial()
	d.mu.Lock()
	if try.link != nil && d.ctx.Err() != nil { // Close has not seen it
		try.link.close()
		try.link, try.err = nil, kgo.ErrClientClosed
	}
	d.dialling, d.link = nil, try.link
	d.mu.Unlock()
	close(try.done)
	return try.link, try.err
}

// dial asks for the topic. Here and not at the first record: the client library
// would keep records for as long as the cluster does not answer.
func (d *Destination) dial() (*link, error) {
	client, err := kgo.NewClient(d.opts...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(d.ctx, d.patience)
	defer cancel()
	if err := known(ctx, client, d.cfg.Topic); err != nil {
		client.Close()
		return nil, err
	}
	return &link{opts: d.opts, company: client}, nil
}

// known reports an error unless the cluster has the topic.
func known(ctx context.Context, client *kgo.Client, topic string) error {
	req := kmsg.NewPtrMetadataRequest()
	of := kmsg.NewMetadataRequestTopic()
	of.Topic = &topic
	req.Topics = append(req.Topics, of)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return err
		}
	}
	if len(resp.Topics) == 0 {
		return errors.New("the cluster does not speak of it")
	}
	return nil
}
