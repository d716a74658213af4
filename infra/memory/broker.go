package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// ErrClosed is returned by what is used after its broker was closed.
var ErrClosed = errors.New("memory: closed")

// Config bounds the broker. The zero value is ready to use.
type Config struct {
	Partitions      int           // of each topic; default 8
	MaxMessages     int           // messages of a topic kept after every group has acked them; default 100,000
	MaxMessageBytes int           // largest message, metadata included; default 16 MiB
	WindowMessages  int           // most unacked messages of one partition; default 1,000
	WindowKey       int           // most of them with one key, later ones wait in the log; default a sixteenth of WindowMessages
	NackDelay       time.Duration // pause before a nacked message comes again; default 100 ms
	ReleaseTimeout  time.Duration // how long a partition that moves waits for its handlers; default 20 s
}

// Broker is an infra.Broker in memory. One lock guards all of it: this broker
// is here to be right and small, not to be fast.
type Broker struct {
	cfg Config

	mu     sync.Mutex
	topics map[string]*topic
	subs   map[*subscriber]struct{}
	closed bool

	release time.Duration // ReleaseTimeout, which AllowRelease raises
}

var (
	_ infra.Broker      = (*Broker)(nil)
	_ message.Publisher = publisher{}
)

// New returns an empty broker.
func New(cfg Config) (*Broker, error) {
	def(&cfg.Partitions, 8)
	def(&cfg.MaxMessages, 100_000)
	def(&cfg.MaxMessageBytes, 16<<20)
	def(&cfg.WindowMessages, 1000)
	def(&cfg.WindowKey, max(1, cfg.WindowMessages/16))
	def(&cfg.NackDelay, 100*time.Millisecond)
	def(&cfg.ReleaseTimeout, 20*time.Second)
	if min(cfg.Partitions, cfg.MaxMessages, cfg.MaxMessageBytes, cfg.WindowMessages, cfg.WindowKey) < 0 || min(cfg.NackDelay, cfg.ReleaseTimeout) < 0 {
		return nil, errors.New("memory: no setting may be negative")
	}
	return &Broker{cfg: cfg, topics: map[string]*topic{}, subs: map[*subscriber]struct{}{}, release: cfg.ReleaseTimeout}, nil
}

func def[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// topic is a number of logs and the groups that read them. Broker.mu guards it.
type topic struct {
	name   string
	keep   bool
	parts  []*partition
	groups map[string]*group
	more   chan struct{} // closed when messages come
}

// partition is a log; log[0] has the offset base.
type partition struct {
	base int64
	log  []record
}

func (p *partition) end() int64 { return p.base + int64(len(p.log)) }

type record struct {
	uuid, key string
	headers   message.Metadata
	payload   []byte
	at        time.Time // when it was stored
}

// EnsureTopics implements infra.Topics.
func (b *Broker) EnsureTopics(ctx context.Context, topics ...infra.Topic) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.usable(ctx); err != nil {
		return err
	}
	for _, t := range topics {
		if _, exists := b.topics[t.Name]; exists {
			continue
		}
		parts := make([]*partition, b.cfg.Partitions)
		for i := range parts {
			parts[i] = &partition{}
		}
		b.topics[t.Name] = &topic{name: t.Name, keep: t.Keep, parts: parts, groups: map[string]*group{}, more: make(chan struct{})}
	}
	return nil
}

// Publisher implements infra.Broker.
func (b *Broker) Publisher(infra.Durability) message.Publisher { return publisher{b} }

type publisher struct{ b *Broker }

// Publish stores all of msgs or none.
func (p publisher) Publish(topic string, msgs ...*message.Message) error {
	recs := make([]record, len(msgs))
	for i, m := range msgs {
		rec, size := newRecord(m)
		if size > p.b.cfg.MaxMessageBytes {
			return fmt.Errorf("publish to %s: message %s: %w: %d bytes, at most %d", topic, m.UUID, infra.ErrTooLarge, size, p.b.cfg.MaxMessageBytes)
		}
		recs[i] = rec
	}
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	if p.b.closed {
		return ErrClosed
	}
	t, err := p.b.topic(topic)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, rec := range recs {
		rec.at = now
		n := place(rec.key, len(t.parts))
		t.parts[n].log = append(t.parts[n].log, rec)
	}
	for _, g := range t.groups {
		g.wake()
	}
	close(t.more)
	t.more = make(chan struct{})
	return nil
}

// Close does nothing: the publisher is shared and a stopping Watermill handler
// closes the one it was given.
func (publisher) Close() error { return nil }

// newRecord copies m, so that its owner may go on using it.
func newRecord(m *message.Message) (record, int) {
	rec := record{uuid: m.UUID, key: m.Metadata.Get(infra.MetaKey), headers: maps.Clone(m.Metadata), payload: bytes.Clone(m.Payload)}
	if rec.key == "" {
		rec.key = m.UUID // spreads keyless messages, as infra/kafka does
	}
	for _, k := range []string{infra.MetaKey, infra.MetaTopic, infra.MetaPartition, infra.MetaOffset} {
		delete(rec.headers, k)
	}
	size := len(rec.uuid) + len(rec.key) + len(rec.payload)
	for k, v := range rec.headers {
		size += len(k) + len(v)
	}
	return rec, size
}

// message is a copy of rec for one reader.
func (rec record) message(topic string, partition int, offset int64) *message.Message {
	msg := message.NewMessage(rec.uuid, bytes.Clone(rec.payload))
	maps.Copy(msg.Metadata, rec.headers)
	msg.Metadata[infra.MetaKey] = rec.key
	msg.Metadata[infra.MetaTopic] = topic
	msg.Metadata[infra.MetaPartition] = strconv.Itoa(partition)
	msg.Metadata[infra.MetaOffset] = strconv.FormatInt(offset, 10)
	return msg
}

// place hashes with FNV-1a: nothing outside this process sees where a key lies.
func place(key string, partitions int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32() % uint32(partitions))
}

func (b *Broker) topic(name string) (*topic, error) {
	if t, ok := b.topics[name]; ok {
		return t, nil
	}
	return nil, fmt.Errorf("memory: topic %s %w; create it with EnsureTopics", name, infra.ErrNoTopic)
}

func (b *Broker) usable(ctx context.Context) error {
	if b.closed {
		return ErrClosed
	}
	return ctx.Err()
}

// Subscriber implements infra.Broker. SubscriberConfig.Resume is never called:
// nothing survives the process, and a claim that ends has its progress.
func (b *Broker) Subscriber(group string, cfg infra.SubscriberConfig) (infra.Subscriber, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, ErrClosed
	}
	s := &subscriber{broker: b, group: group, cfg: cfg}
	b.subs[s] = struct{}{}
	return s, nil
}

// AllowRelease implements infra.Broker.
func (b *Broker) AllowRelease(d time.Duration) {
	b.mu.Lock()
	b.release = max(b.release, d)
	b.mu.Unlock()
}

// Ping implements infra.Broker.
func (b *Broker) Ping(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.usable(ctx)
}

// trim drops the oldest records of p that every group has done and that are
// more than the topic keeps. Without a group nothing goes.
func (t *topic) trim(n int, keep int) {
	p := t.parts[n]
	if t.keep || len(t.groups) == 0 {
		return
	}
	low := p.end()
	for _, g := range t.groups {
		low = min(low, g.cursors[n].low)
	}
	drop := low - p.base - int64(keep)
	if drop <= int64(keep/8) { // in steps: append then copies the log seldom
		return
	}
	clear(p.log[:drop]) // the array lives on behind the slice
	p.log = p.log[drop:]
	p.base += drop
}

// Close implements infra.Broker.
func (b *Broker) Close() error {
	b.mu.Lock()
	b.closed = true
	subs := slices.Collect(maps.Keys(b.subs))
	b.mu.Unlock()
	for _, s := range subs {
		_ = s.Close()
	}
	return nil
}
