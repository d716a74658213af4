package kafka

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// link is a client that has reached the cluster.
type link struct {
	client   sarama.Client
	producer sarama.SyncProducer

	mu    sync.Mutex
	alone sarama.SyncProducer // nil: not needed yet
}

// single returns the producer whose batches have one record, which it makes when
// a record is refused for the first time. Keys keep their order across the two
// producers: a key has one record under way.
func (l *link) single() (sarama.SyncProducer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.alone != nil {
		return l.alone, nil
	}
	conf := *l.client.Config()
	conf.Producer.Flush.MaxMessages = 1
	alone, err := sarama.NewSyncProducerFromClient(configured{l.client, &conf})
	if err == nil {
		l.alone = alone
	}
	return alone, err
}

// configured is a client for a producer with settings of its own.
type configured struct {
	sarama.Client
	conf *sarama.Config
}

func (c configured) Config() *sarama.Config { return c.conf }

func (l *link) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	errs := []error{l.producer.Close()}
	if l.alone != nil {
		errs = append(errs, l.alone.Close())
	}
	return errors.Join(append(errs, l.client.Close())...)
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
	d.dialling, d.link = nil, try.link
	d.mu.Unlock()
	close(try.done)
	return try.link, try.err
}

func (d *Destination) dial() (*link, error) {
	client, err := sarama.NewClient(d.cfg.Brokers, d.conf)
	if err != nil {
		return nil, err
	}
	// Here and not at the first record: the producer's own lookup answers one
	// record after the other, each with its timeouts.
	if _, err := client.Partitions(d.cfg.Topic); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &link{client: client, producer: producer}, nil
}

// dialer gives the client library, which knows no context, connections that
// end with ctx: Close then takes no longer than it means to, even with a
// cluster that accepts and never answers.
type dialer struct {
	ctx     context.Context
	timeout time.Duration
}

func (d *dialer) Dial(network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: d.timeout, KeepAlive: 30 * time.Second}).DialContext(d.ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &boundConn{Conn: conn}
	c.stop = context.AfterFunc(d.ctx, func() { _ = conn.Close() })
	return c, nil
}

type boundConn struct {
	net.Conn
	stop func() bool
}

func (c *boundConn) Close() error {
	c.stop() // or each connection of a long life would stay registered with the context
	return c.Conn.Close()
}
