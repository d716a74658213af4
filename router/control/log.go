package control

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/oklog/ulid/v2"

	"eventserver/infra"
)

// Config is what a Log is made of.
type Config struct {
	Broker   infra.Broker
	Instance string       // goes into records that are put here
	Logger   *slog.Logger // default: discard
}

// Log is the topic as this instance knows it. It is safe for parallel use.
type Log struct {
	cfg Config

	mu     sync.Mutex
	next   map[int32]int64 // by partition: what is read next
	last   map[slot]Record
	awaits map[string]chan struct{} // of Put, by the record's id

	ended chan struct{} // Follow has returned
}

// slot is what a later record replaces.
type slot struct{ kind, destination string }

// ErrEnded is the error of a Put that no Follow will apply any more.
var ErrEnded = errors.New("control: the server is stopping")

// Open reads the topic, which must exist, to its end.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{cfg: cfg, next: map[int32]int64{}, last: map[slot]Record{}, awaits: map[string]chan struct{}{}, ended: make(chan struct{})}
	return l, l.catchUp(ctx)
}

// catchUp reads what is new, to the end. Nothing follows the topic meanwhile.
func (l *Log) catchUp(ctx context.Context) error {
	bounds, err := l.cfg.Broker.Bounds(ctx, Topic, time.Time{})
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	ranges := map[int32]infra.Range{}
	l.mu.Lock()
	for p, b := range bounds {
		from := max(b.Oldest, l.next[p])
		l.next[p] = max(l.next[p], b.End)
		if b.End > from {
			ranges[p] = infra.Range{From: from, To: b.End}
		}
	}
	l.mu.Unlock()
	if err := l.cfg.Broker.Scan(ctx, Topic, ranges, func(m *message.Message, _ time.Time) error { l.take(m); return nil }); err != nil {
		return fmt.Errorf("control: %w", err)
	}
	return nil
}

// Append stores a record before Follow runs, and reads the topic to its end: what
// others have stored meanwhile is known, too.
func (l *Log) Append(ctx context.Context, r Record) error {
	_, m, err := l.prepare(r)
	if err != nil {
		return err
	}
	if err := l.store(ctx, m); err != nil {
		return err
	}
	return l.catchUp(ctx)
}

// take notes one record. One that is not understood is passed over.
func (l *Log) take(m *message.Message) (Record, bool) {
	r, err := decode(m)
	l.mu.Lock()
	defer l.mu.Unlock()
	p := infra.Partition(m)
	l.next[p] = max(l.next[p], infra.Offset(m)+1)
	if errors.Is(err, errOther) {
		return r, false
	}
	if err != nil {
		l.cfg.Logger.Warn("a control record is not understood", slog.Any("error", err))
		return r, false
	}
	at := slot{r.Kind, r.Destination}
	if was, ok := l.last[at]; ok && r.Kind == From && was.On && r.On {
		return r, true // of instances that start together, the first one decides
	}
	l.last[at] = r
	return r, true
}

// seen tells the Put of a record that it has been applied.
func (l *Log) seen(r Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := l.awaits[r.ID]; ok {
		close(c)
		delete(l.awaits, r.ID)
	}
}

// Last is the last record of a kind for a destination.
func (l *Log) Last(kind, destination string) (Record, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.last[slot{kind, destination}]
	return r, ok
}

// Records are the last of each kind and destination, the oldest first.
func (l *Log) Records() []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedFunc(maps.Values(l.last), func(a, b Record) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
	})
}

// Follow hands apply every record that comes after those of Open, one at a
// time, until ctx ends. A broker that is away is asked again. It is called once.
func (l *Log) Follow(ctx context.Context, apply func(Record)) {
	defer close(l.ended)
	const first, most = 250 * time.Millisecond, 10 * time.Second
	wait := first
	for ctx.Err() == nil {
		l.mu.Lock()
		ranges := map[int32]infra.Range{}
		for p, next := range l.next {
			ranges[p] = infra.Range{From: next, To: infra.Forever}
		}
		l.mu.Unlock()
		err := l.cfg.Broker.Scan(ctx, Topic, ranges, func(m *message.Message, _ time.Time) error {
			wait = first
			if r, ok := l.take(m); ok {
				apply(r)
				l.seen(r)
			}
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		l.cfg.Logger.Warn("the control topic cannot be followed; trying again", slog.Any("error", err), slog.Duration("wait", wait))
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, most)
	}
}

// prepare completes a record.
func (l *Log) prepare(r Record) (Record, *message.Message, error) {
	now := time.Now().UTC()
	id, err := ulid.New(ulid.Timestamp(now), rand.Reader)
	if err != nil {
		return r, nil, fmt.Errorf("control: %w", err)
	}
	r.ID, r.At, r.Instance = id.String(), now, l.cfg.Instance
	m, err := r.encode()
	return r, m, err
}

// store publishes a record, and waits for that until ctx ends.
func (l *Log) store(ctx context.Context, m *message.Message) error {
	stored := make(chan error, 1)
	go func() { stored <- l.cfg.Broker.Publisher(infra.Durable).Publish(Topic, m) }() // it knows no context; the broker's close waits for it
	select {
	case err := <-stored:
		if err != nil {
			return fmt.Errorf("control: the broker did not take the record: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("control: the broker has not taken the record yet; if it does, the record holds: %w", ctx.Err())
	}
}

// Put stores a record and returns it when this instance has applied it, which
// takes a Follow that runs. When ctx or the Follow ends before that, the record is
// stored all the same and the error says so.
func (l *Log) Put(ctx context.Context, r Record) (Record, error) {
	r, m, err := l.prepare(r)
	if err != nil {
		return r, err
	}
	applied := make(chan struct{})
	l.mu.Lock()
	l.awaits[r.ID] = applied
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.awaits, r.ID)
		l.mu.Unlock()
	}()
	if err := l.store(ctx, m); err != nil {
		return r, err
	}
	select {
	case <-applied:
		return r, nil
	case <-l.ended:
		return r, fmt.Errorf("%w: the record is stored, and holds at the next start", ErrEnded)
	case <-ctx.Done():
		return r, fmt.Errorf("control: the record is stored, and not read back yet: %w", ctx.Err())
	}
}
