package pubsub

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// faulty is a log that misbehaves on command.
type faulty struct {
	infra.Log

	keep   atomic.Pointer[func([]infra.Progressed) error]
	append atomic.Pointer[func(infra.Batch) error]
	read   atomic.Pointer[func(from int64) error]
	open   atomic.Int64 // cursors
	lists  atomic.Int64 // calls of Topics
	asked  atomic.Int64 // calls of Kept
	given  atomic.Int64 // records, to all cursors

	mu     sync.Mutex
	kept   []infra.Progressed
	damage map[int32]infra.Span
	claims []context.CancelCauseFunc
}

func (l *faulty) Keep(ctx context.Context, p ...infra.Progressed) error {
	if f := l.keep.Load(); f != nil {
		if err := (*f)(p); err != nil {
			return err
		}
	}
	l.mu.Lock()
	l.kept = append(l.kept, p...)
	l.mu.Unlock()
	return l.Log.Keep(ctx, p...)
}

// positions are those that were kept, in order.
func (l *faulty) positions() (out []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.kept {
		out = append(out, p.Position.Next)
	}
	return out
}

func (l *faulty) Append(ctx context.Context, b infra.Batch) error {
	if f := l.append.Load(); f != nil {
		if err := (*f)(b); err != nil {
			return err
		}
	}
	return l.Log.Append(ctx, b)
}

func (l *faulty) Topics(ctx context.Context) ([]string, error) {
	l.lists.Add(1)
	return l.Log.Topics(ctx)
}

func (l *faulty) Kept(ctx context.Context, topic string, groups ...string) (map[string]map[int32]infra.Position, error) {
	l.asked.Add(1)
	return l.Log.Kept(ctx, topic, groups...)
}

// lose takes every partition away without waiting.
func (l *faulty) lose() { l.endClaims(infra.ErrLost) }

// move takes every partition away and gives it to whoever is there.
func (l *faulty) move() { l.endClaims(nil) }

func (l *faulty) endClaims(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range l.claims {
		end(cause)
	}
}

func (l *faulty) Join(ctx context.Context, group, topic string, own func(infra.Claim)) (infra.Membership, error) {
	return l.Log.Join(ctx, group, topic, func(c infra.Claim) {
		claimed, lose := context.WithCancelCause(c.Context)
		l.mu.Lock()
		l.claims = append(l.claims, lose)
		l.mu.Unlock()
		whole := c.Context
		giveUp := c.Hold()
		c.Context = claimed
		c.Give(own, func() {
			if errors.Is(context.Cause(claimed), infra.ErrLost) {
				<-whole.Done() // it does not come back
			}
			lose(nil)
			giveUp()
		})
	})
}

// damageRange damages a partition.
func (l *faulty) damageRange(partition int32, s infra.Span) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.damage[partition] = s
}

func (l *faulty) damagedRange(partition int32) infra.Span {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.damage[partition]
}

func (l *faulty) Open(ctx context.Context, topic string, partition int32, from int64) (infra.Cursor, error) {
	c, err := l.Log.Open(ctx, topic, partition, from)
	if err != nil {
		return nil, err
	}
	l.open.Add(1)
	return &faultyCursor{Cursor: c, log: l, partition: partition, next: from}, nil
}

type faultyCursor struct {
	infra.Cursor
	log       *faulty
	partition int32
	next      int64
	read      []*infra.Record // and not returned
}

func (c *faultyCursor) Close() {
	c.log.open.Add(-1)
	c.Cursor.Close()
}

// Read returns a damaged span as an error once the records before it are returned.
func (c *faultyCursor) Read(ctx context.Context, maxBytes int) (out []*infra.Record, err error) {
	if f := c.log.read.Load(); f != nil {
		if err := (*f)(c.next); err != nil {
			return nil, err
		}
	}
	if len(c.read) == 0 {
		if c.read, err = c.Cursor.Read(ctx, maxBytes); err != nil {
			return nil, err
		}
		c.log.given.Add(int64(len(c.read)))
	}
	damage := c.log.damagedRange(c.partition)
	for len(c.read) > 0 {
		rec := c.read[0]
		if rec.Offset >= damage.From && rec.Offset < damage.To {
			if len(out) > 0 {
				return out, nil
			}
			for len(c.read) > 0 && c.read[0].Offset < damage.To {
				c.next, c.read = c.read[0].Offset+1, c.read[1:]
			}
			return nil, &infra.DamageError{Topic: rec.Topic, Partition: rec.Partition, Offsets: damage, File: "000007.sst", Err: errTest}
		}
		c.next, c.read = rec.Offset+1, c.read[1:]
		out = append(out, rec)
	}
	return out, nil
}

var errTest = errorString("as the test wants")

type errorString string

func (e errorString) Error() string { return string(e) }

// lines is a log that counts.
type lines struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.all.String(), text)
}

const topic, group, timeout = "events", "webhook", 30 * time.Second

// env is one broker with one partition on a faulty log in memory.
type env struct {
	*testing.T
	infra.Broker
	faults *faulty
	log    *lines
}

func newEnv(t *testing.T, cfg Config) *env {
	t.Helper()
	e := &env{T: t, faults: &faulty{Log: newMemlog(), damage: map[int32]infra.Span{}}, log: &lines{}}
	cfg.Logger = slog.New(slog.NewTextHandler(e.log, nil))
	var err error
	e.Broker, err = New(e.faults, cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, e.Close())
		require.Zero(t, e.faults.open.Load(), "cursors are closed")
	})
	require.NoError(t, e.EnsureTopics(t.Context(), infra.Topic{Name: topic}))
	return e
}

func newMessage(key, payload string) *message.Message {
	m := message.NewMessage(watermill.NewUUID(), []byte(payload))
	m.Metadata.Set(infra.MetaKey, key)
	return m
}

// publish stores count messages of key, numbered from first.
func (e *env) publish(key string, first, count int) {
	e.Helper()
	msgs := make([]*message.Message, count)
	for i := range msgs {
		msgs[i] = newMessage(key, strconv.Itoa(first+i))
	}
	require.NoError(e, e.Publisher(infra.Durable).Publish(topic, msgs...))
}

func (e *env) subscribe() (infra.Subscriber, <-chan *message.Message) {
	e.Helper()
	s, err := e.Subscriber(group, infra.SubscriberConfig{Receipts: true})
	require.NoError(e, err)
	in, err := s.Subscribe(context.Background(), topic)
	require.NoError(e, err)
	return s, in
}

func (e *env) receive(in <-chan *message.Message) *message.Message {
	e.Helper()
	select {
	case m, open := <-in:
		require.True(e, open, "the subscription ended")
		return m
	case <-time.After(timeout):
		require.FailNow(e, "no message in time", "%s", e.log.all.String())
		return nil
	}
}

func (e *env) take(in <-chan *message.Message, n int) []*message.Message {
	e.Helper()
	out := make([]*message.Message, n)
	for i := range out {
		out[i] = e.receive(in)
	}
	return out
}

func payloads(msgs []*message.Message) (out []string) {
	for _, m := range msgs {
		out = append(out, string(m.Payload))
	}
	return out
}

func settle(acked bool, msgs ...*message.Message) {
	for _, m := range msgs {
		infra.Settle(m, acked)
	}
}

func (e *env) lag() int64 {
	e.Helper()
	n, err := infra.LagOf(context.Background(), e, group, topic)
	require.NoError(e, err)
	return n
}

func (e *env) eventually(what string, ok func() bool) {
	e.Helper()
	require.Eventually(e, ok, timeout, time.Millisecond, what)
}

func (e *env) lags(n int64) {
	e.Helper()
	e.eventually("lag", func() bool { return e.lag() == n })
}

func fault[F any](at *atomic.Pointer[F], f F) { at.Store(&f) }
