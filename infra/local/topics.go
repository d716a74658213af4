package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"eventserver/infra"
)

// topics are read without a lock. The committer replaces the map.
type topics struct {
	byName atomic.Pointer[map[string]*topic]
	last   uint32 // the highest number that any had when the log was opened
}

// topic is a number of partitions.
type topic struct {
	id    uint32
	name  string
	keep  bool
	parts []*partition

	created int64 // unix nanoseconds
	deleted atomic.Bool

	groups map[string][]*groupPosition // progress by group and partition; groups.mu
}

func newTopic(name string, m topicMeta) *topic {
	t := &topic{id: m.id, name: name, keep: m.keep, created: m.created, parts: make([]*partition, m.partitions), groups: map[string][]*groupPosition{}}
	for i := range t.parts {
		t.parts[i] = &partition{topic: t, n: int32(i)}
	}
	return t
}

func errNoTopic(name string) error {
	return fmt.Errorf("local: topic %s %w; create it first", name, infra.ErrNoTopic)
}

func (l *Log) topic(name string) (*topic, error) {
	if t, ok := (*l.topics.byName.Load())[name]; ok {
		return t, nil
	}
	return nil, errNoTopic(name)
}

func (l *Log) partition(name string, n int32) (*partition, error) {
	t, err := l.topic(name)
	if err != nil {
		return nil, err
	}
	return t.partition(n)
}

func (t *topic) partition(n int32) (*partition, error) {
	if n < 0 || int(n) >= len(t.parts) {
		return nil, fmt.Errorf("local: topic %s has no partition %d, it has %d", t.name, n, len(t.parts))
	}
	return t.parts[n], nil
}

// CreateTopics implements infra.LogTopics.
func (l *Log) CreateTopics(ctx context.Context, want ...infra.Topic) error {
	if err := l.writable(); err != nil {
		return err
	}
	known := *l.topics.byName.Load()
	var missing []infra.Topic
	for _, t := range want {
		if t.Name == "" {
			return errors.New("local: a topic needs a name")
		}
		if known[t.Name] == nil {
			missing = append(missing, t)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	var created []*topic
	r := newRequest()
	r.durable = true
	r.encode = func(g *group) error {
		now := *l.topics.byName.Load()
		for _, t := range missing {
			if now[t.Name] != nil || slices.ContainsFunc(created, func(m *topic) bool { return m.name == t.Name }) {
				continue
			}
			l.committer.nextID++
			m := topicMeta{id: l.committer.nextID, partitions: l.cfg.Partitions, keep: t.Keep, created: g.now}
			_ = g.batch.Set(topicKey(t.Name), m.encode(), nil)
			created = append(created, newTopic(t.Name, m))
		}
		return g.batch.Set(nextIDKey, binary.BigEndian.AppendUint32(nil, l.committer.nextID), nil)
	}
	r.onStored = func() {
		last := uint32(0)
		l.topics.change(func(m map[string]*topic) {
			for _, t := range created {
				m[t.name] = t
				last = t.id
			}
		})
		l.topicFile.change(last, created, nil)
	}
	return l.do(ctx, r)
}

// change replaces the map. Readers see the old or the new one.
func (t *topics) change(f func(map[string]*topic)) {
	for {
		old := t.byName.Load()
		m := maps.Clone(*old)
		f(m)
		if t.byName.CompareAndSwap(old, &m) {
			return
		}
	}
}

// Topics implements infra.LogTopics.
func (l *Log) Topics(ctx context.Context) ([]string, error) {
	if err := l.readable(ctx); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(*l.topics.byName.Load())), nil
}

// DeleteTopics implements infra.LogTopics.
func (l *Log) DeleteTopics(ctx context.Context, names ...string) error {
	if err := l.writable(); err != nil {
		return err
	}
	deleted := map[string]*topic{}
	r := newRequest()
	r.durable = true
	r.onStored = func() {
		l.topicFile.change(0, nil, deleted)
		for _, t := range deleted {
			for _, p := range t.parts {
				low, end := p.bounds()
				l.reclaimer.addTrimmed(p, infra.Span{From: low, To: end})
			}
		}
	}
	r.encode = func(g *group) error {
		for _, name := range names {
			if t := (*l.topics.byName.Load())[name]; t != nil {
				deleted[name] = t
				t.deleted.Store(true) // calls that wait behind this one fail
				for _, p := range t.parts {
					l.committer.records -= uint64(p.next)
				}
				_ = g.batch.Delete(topicKey(name), nil)
				for _, space := range []byte{spaceRecord, spaceProgress, spaceEnd} {
					from, to := topicSpan(space, t.id)
					_ = g.batch.DeleteRange(from, to, nil)
				}
			}
		}
		l.topics.change(func(m map[string]*topic) {
			for name := range deleted {
				delete(m, name)
			}
		})
		l.groups.forget(deleted)
		for _, t := range deleted {
			for _, p := range t.parts {
				p.wake()
			}
		}
		return nil
	}
	return l.do(ctx, r)
}

// Bounds implements infra.LogTopics.
func (l *Log) Bounds(ctx context.Context, name string, since time.Time) (map[int32]infra.Bounds, error) {
	if err := l.readable(ctx); err != nil {
		return nil, err
	}
	t, err := l.topic(name)
	if err != nil {
		return nil, err
	}
	bounds := make(map[int32]infra.Bounds, len(t.parts))
	for _, p := range t.parts {
		low, end := p.bounds()
		b := infra.Bounds{Oldest: low, At: low, End: end}
		if !since.IsZero() {
			if b.At, err = l.firstSince(ctx, p, low, end, since.UnixNano()); err != nil {
				return nil, err
			}
		}
		bounds[p.n] = b
	}
	return bounds, nil
}

// firstSince is the first offset in [low, end) that was stored at since or later.
func (l *Log) firstSince(ctx context.Context, p *partition, low, end, since int64) (int64, error) {
	for low < end {
		mid := low + (end-low)/2
		at, offset, err := l.timeAt(ctx, p, mid, end)
		if err != nil {
			return 0, err
		}
		if offset < end && at < since {
			low = offset + 1
		} else {
			end = mid
		}
	}
	return low, nil
}

// timeAt is the time of the first readable record at or behind offset; end without one. An
// unreadable record is between two times, so a search continues behind it.
func (l *Log) timeAt(ctx context.Context, p *partition, offset, end int64) (at, found int64, err error) {
	if err := l.scans.enter(ctx); err != nil {
		return 0, 0, err
	}
	defer l.scans.leave()
	for step := int64(1); offset < end; step *= 2 {
		if at, found, err = l.timeOfFirst(p, offset, end); err == nil || !pebble.IsCorruptionError(err) {
			return at, found, err
		}
		offset += step
	}
	return 0, end, nil
}

func (l *Log) timeOfFirst(p *partition, offset, end int64) (at, found int64, err error) {
	it, err := l.records(p, offset, end)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = it.Close() }() // its error is it.Error
	if !it.First() {
		return 0, end, it.Error()
	}
	if found, err = offsetOf(it.Key()); err != nil {
		return 0, 0, err
	}
	v, err := it.ValueAndErr()
	if err != nil {
		return 0, 0, err
	}
	at, err = timeOf(v)
	return at, found, err
}

// records reads the records in [from, to).
func (l *Log) records(p *partition, from, to int64) (*pebble.Iterator, error) {
	return l.db.NewIter(&pebble.IterOptions{
		LowerBound: appendRecordKey(make([]byte, 0, recordKeyLen), p.topic.id, p.n, from),
		UpperBound: appendRecordKey(make([]byte, 0, recordKeyLen), p.topic.id, p.n, to),
	})
}
