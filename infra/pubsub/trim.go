package pubsub

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"eventserver/infra"
)

// trimmer deletes records TrimAge after it saw that every group had done them. So the
// undelivered events bound the disk and the memory.
type trimmer struct {
	b    *broker
	age  time.Duration
	quit context.CancelFunc // nil: nothing is trimmed
	done chan struct{}

	mu     sync.Mutex
	topics map[string]struct{} // to be trimmed
	failed bool                // already logged
}

// doneOffsets is, for each partition, the offset below which every group is done.
type doneOffsets map[int32]int64

// checksPerAge is the number of the trimmer's checks in TrimAge. firstCheck is the maximum
// time until its first check after a start.
const (
	checksPerAge = 4
	firstCheck   = 10 * time.Second
)

func newTrimmer(b *broker, age time.Duration) *trimmer {
	t := &trimmer{b: b, age: age, done: make(chan struct{}), topics: map[string]struct{}{}}
	if age <= 0 {
		return t
	}
	ctx, quit := context.WithCancel(context.Background())
	t.quit = quit
	go t.run(ctx)
	return t
}

func (t *trimmer) watch(topics []infra.Topic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, topic := range topics {
		if !topic.Keep {
			t.topics[topic.Name] = struct{}{}
		}
	}
}

func (t *trimmer) forget(topics []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, topic := range topics {
		delete(t.topics, topic)
	}
}

func (t *trimmer) stop() {
	if t.quit != nil {
		t.quit()
		<-t.done
	}
}

// run checks periodically. Records that are done at one check are deleted one age later. A
// new process does not know what an earlier one saw. So at a start it deletes records that
// are done and were stored longer than that ago, and a server that is often restarted
// trims too.
func (t *trimmer) run(ctx context.Context) {
	defer close(t.done)
	first := time.NewTimer(min(t.age/checksPerAge, firstCheck))
	defer first.Stop()
	select {
	case <-ctx.Done():
		return
	case <-first.C:
		t.trimOld(ctx)
	}
	tick := time.NewTicker(max(t.age/checksPerAge, 10*time.Millisecond))
	defer tick.Stop()
	var seen []map[string]doneOffsets
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := t.check(ctx)
		seen = append(seen, now)
		if len(seen) <= checksPerAge {
			continue
		}
		for topic, before := range seen[0] {
			if at := lowest(before, now[topic]); len(at) > 0 {
				t.outcome(ctx, t.b.log.Trim(ctx, topic, at)) // retried at the next check
			}
		}
		seen = seen[1:]
	}
}

// trimOld trims records that are done and older than the age.
func (t *trimmer) trimOld(ctx context.Context) {
	for topic, done := range t.check(ctx) {
		bounds, err := t.b.log.Bounds(ctx, topic, time.Now().Add(-t.age))
		if errors.Is(err, infra.ErrNoTopic) {
			continue
		}
		old := doneOffsets{}
		for p, b := range bounds {
			if b.At > b.Oldest {
				old[p] = b.At
			}
		}
		if at := lowest(old, done); err == nil && len(at) > 0 {
			err = t.b.log.Trim(ctx, topic, at)
		}
		t.outcome(ctx, err)
	}
}

// check reads the progress of every topic that exists.
func (t *trimmer) check(ctx context.Context) map[string]doneOffsets {
	existing, err := t.b.log.Topics(ctx)
	if err != nil {
		t.outcome(ctx, err)
		return nil
	}
	reads := t.b.readers()
	now := map[string]doneOffsets{}
	for _, topic := range existing {
		t.mu.Lock()
		_, watched := t.topics[topic]
		t.mu.Unlock()
		if !watched {
			continue
		}
		done, err := t.doneByAll(ctx, topic, reads[topic])
		if err != nil && !errors.Is(err, infra.ErrNoTopic) { // it was deleted meanwhile
			t.outcome(ctx, err)
		} else if len(done) > 0 {
			now[topic] = done
		}
	}
	return now
}

// doneByAll is the offset below which every group of a topic is done: groups with progress
// there, and groups that this process subscribed, which begin at the oldest record where
// they have none. Partitions without anything to delete are left out.
func (t *trimmer) doneByAll(ctx context.Context, topic string, readers []string) (doneOffsets, error) {
	kept, err := t.b.log.Kept(ctx, topic)
	if err != nil {
		return nil, err
	}
	if len(kept) == 0 {
		return nil, nil
	}
	bounds, err := t.b.log.Bounds(ctx, topic, time.Time{})
	if err != nil {
		return nil, err
	}
	groups := append(slices.Collect(maps.Keys(kept)), readers...)
	done := doneOffsets{}
	for p, b := range bounds {
		low := b.End
		for _, g := range groups {
			low = min(low, kept[g][p].Next) // 0 without progress
		}
		if low > b.Oldest {
			done[p] = low
		}
	}
	return done, nil
}

// readers are the groups that this process subscribed, by topic.
func (b *broker) readers() map[string][]string {
	b.mu.Lock()
	subs := slices.Collect(maps.Keys(b.subs))
	b.mu.Unlock()
	out := map[string][]string{}
	for _, s := range subs {
		for _, sub := range s.subscriptions() {
			out[sub.topic] = append(out[sub.topic], sub.group)
		}
	}
	return out
}

// outcome logs once that trimming fails.
func (t *trimmer) outcome(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if err != nil && !t.failed {
		t.b.cfg.Logger.Warn("cannot trim; trying again, and the disk fills up", slog.Any("error", err))
	}
	t.failed = err != nil
}

// lowest returns the offsets that were done then and are done now. A group may be new, or
// may have been reset to deliver again.
func lowest(before, now doneOffsets) doneOffsets {
	both := doneOffsets{}
	for p, at := range before {
		if low, known := now[p]; known {
			both[p] = min(at, low)
		}
	}
	return both
}
