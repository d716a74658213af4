package pubsub

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"sync"
	"time"

	"eventserver/infra"
	"eventserver/infra/shares"
)

// memlog is the least that an infra.Log can be: topics of one partition, behind one
// lock. It has no goroutine and no timer, so that it runs in a synctest bubble.
type memlog struct {
	shares *shares.Shares

	mu     sync.Mutex
	topics map[string]*memtopic
	closed bool
}

type memtopic struct {
	low     int64
	records []*infra.Record // the first has the offset low
	more    []chan struct{}
	kept    map[string]infra.Position
}

func (t *memtopic) end() int64 { return t.low + int64(len(t.records)) }

func newMemlog() *memlog {
	l := &memlog{topics: map[string]*memtopic{}}
	l.shares = shares.New(shares.Config{TakeUp: l.takeUp})
	l.shares.Own(shares.All, nil)
	return l
}

var errMemlogClosed = errors.New("memlog: closed")

// on runs f on a topic, under the lock.
func (l *memlog) on(ctx context.Context, topic string, f func(t *memtopic) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errMemlogClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	t := l.topics[topic]
	if t == nil {
		return fmt.Errorf("memlog: topic %s %w", topic, infra.ErrNoTopic)
	}
	return f(t)
}

func (*memlog) Limits() infra.Limits { return infra.Limits{RecordBytes: 1 << 20, ProgressBytes: 4096} }

func (l *memlog) Ping(ctx context.Context) error { return ctx.Err() }

func (l *memlog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}

func (l *memlog) CreateTopics(_ context.Context, topics ...infra.Topic) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range topics {
		if l.topics[t.Name] == nil {
			l.topics[t.Name] = &memtopic{kept: map[string]infra.Position{}}
		}
	}
	return nil
}

func (l *memlog) Topics(context.Context) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.topics)), nil
}

func (l *memlog) DeleteTopics(_ context.Context, topics ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range topics {
		delete(l.topics, t)
	}
	return nil
}

func (l *memlog) Bounds(ctx context.Context, topic string, since time.Time) (out map[int32]infra.Bounds, err error) {
	err = l.on(ctx, topic, func(t *memtopic) error {
		at := sort.Search(len(t.records), func(i int) bool { return !t.records[i].Time.Before(since) })
		out = map[int32]infra.Bounds{0: {Oldest: t.low, At: t.low + int64(at), End: t.end()}}
		return nil
	})
	return out, err
}

func (l *memlog) Trim(ctx context.Context, topic string, below map[int32]int64) error {
	return l.on(ctx, topic, func(t *memtopic) error {
		if n := min(below[0], t.end()) - t.low; n > 0 {
			t.records, t.low = slices.Clone(t.records[n:]), t.low+n
		}
		return nil
	})
}

func (l *memlog) Append(ctx context.Context, b infra.Batch) error {
	for _, rec := range b.Records {
		err := l.on(ctx, rec.Topic, func(t *memtopic) error {
			rec.Offset, rec.Time = t.end(), time.Now()
			t.records = append(t.records, rec)
			for _, more := range t.more {
				select {
				case more <- struct{}{}:
				default:
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return l.Keep(ctx, b.Progress...)
}

func (l *memlog) Open(ctx context.Context, topic string, _ int32, from int64) (infra.Cursor, error) {
	c := &memcursor{log: l, topic: topic, next: from, more: make(chan struct{}, 1)}
	return c, l.on(ctx, topic, func(t *memtopic) error {
		t.more = append(t.more, c.more)
		return nil
	})
}

type memcursor struct {
	log   *memlog
	topic string
	next  int64
	more  chan struct{}
}

func (c *memcursor) Read(ctx context.Context, maxBytes int) (out []*infra.Record, err error) {
	err = c.log.on(ctx, c.topic, func(t *memtopic) error {
		for c.next = max(c.next, t.low); c.next < t.end() && maxBytes > 0; c.next++ {
			rec := t.records[c.next-t.low]
			maxBytes -= sizeOf(rec)
			out = append(out, rec)
		}
		return nil
	})
	return out, err
}

func (c *memcursor) More() <-chan struct{} { return c.more }
func (*memcursor) Close()                  {}

func (l *memlog) Keep(ctx context.Context, all ...infra.Progressed) error {
	for _, p := range all {
		err := l.on(ctx, p.Topic, func(t *memtopic) error {
			t.kept[p.Group] = p.Position
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *memlog) Kept(ctx context.Context, topic string, groups ...string) (map[string]map[int32]infra.Position, error) {
	out := map[string]map[int32]infra.Position{}
	return out, l.on(ctx, topic, func(t *memtopic) error {
		for g, p := range t.kept {
			if len(groups) == 0 || slices.Contains(groups, g) {
				out[g] = map[int32]infra.Position{0: p}
			}
		}
		return nil
	})
}

func (l *memlog) Look(ctx context.Context, of ...infra.GroupTopic) []infra.Looked {
	return infra.LookEach(ctx, l, of...)
}

func (l *memlog) Members(_ context.Context, group string) ([]infra.Member, error) {
	return l.shares.Members(group, infra.Member{Client: "memlog"}), nil
}

func (l *memlog) Reset(ctx context.Context, group, topic string, to map[int32]int64) error {
	return l.on(ctx, topic, func(t *memtopic) error {
		if l.shares.Joined(group, topic) {
			return infra.ErrGroupBusy
		}
		t.kept[group] = infra.Position{Next: to[0]}
		return nil
	})
}

func (l *memlog) DeleteGroups(_ context.Context, groups ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.topics {
		for _, g := range groups {
			delete(t.kept, g)
		}
	}
	return nil
}

func (*memlog) Leave(context.Context, string) error { return nil }

func (l *memlog) Join(ctx context.Context, group, topic string, own func(infra.Claim)) (infra.Membership, error) {
	if err := l.on(ctx, topic, func(*memtopic) error { return nil }); err != nil {
		return nil, err
	}
	return l.shares.Join(group, topic, 1, own), nil
}

func (l *memlog) takeUp(c *shares.Claim) (at infra.Position, taken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.topics[c.Topic]; t != nil {
		at = infra.Position{Next: t.low}
		if kept, known := t.kept[c.Group]; known {
			at = kept
		}
	}
	return at, true
}
