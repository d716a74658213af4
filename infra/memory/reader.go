package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// look runs f on a topic, under the lock.
func (b *Broker) look(ctx context.Context, name string, f func(t *topic) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.usable(ctx); err != nil {
		return err
	}
	t, err := b.topic(name)
	if err != nil {
		return err
	}
	return f(t)
}

// Bounds implements infra.Reader.
func (b *Broker) Bounds(ctx context.Context, topicName string, since time.Time) (map[int32]infra.Bounds, error) {
	out := map[int32]infra.Bounds{}
	err := b.look(ctx, topicName, func(t *topic) error {
		for i, p := range t.parts {
			at := p.base + int64(sort.Search(len(p.log), func(n int) bool { return !p.log[n].at.Before(since) }))
			out[int32(i)] = infra.Bounds{Oldest: p.base, At: at, End: p.end()}
		}
		return nil
	})
	return out, err
}

// Place implements infra.Reader.
func (b *Broker) Place(ctx context.Context, topicName, key string) (n int32, err error) {
	err = b.look(ctx, topicName, func(t *topic) error {
		n = int32(place(key, len(t.parts)))
		return nil
	})
	return n, err
}

// found is a message that a scan has taken out of the log.
type found struct {
	msg *message.Message
	at  time.Time
}

// Scan implements infra.Reader.
func (b *Broker) Scan(ctx context.Context, topicName string, ranges map[int32]infra.Range, f func(m *message.Message, at time.Time) error) error {
	ranges = maps.Clone(ranges)
	for len(ranges) > 0 {
		var batch []found
		var more <-chan struct{}
		err := b.look(ctx, topicName, func(t *topic) error {
			more = t.more
			for n, r := range ranges {
				if n < 0 || int(n) >= len(t.parts) {
					return fmt.Errorf("memory: topic %s has no partition %d", topicName, n)
				}
				batch = append(batch, t.read(int(n), &r)...)
				if ranges[n] = r; r.From >= r.To {
					delete(ranges, n)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, m := range batch {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := f(m.msg, m.at); err != nil {
				return err
			}
		}
		if len(batch) > 0 || len(ranges) == 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-more:
		}
	}
	return nil
}

// read takes some messages of partition n out of r.
func (t *topic) read(n int, r *infra.Range) (out []found) {
	const most = 256
	p := t.parts[n]
	r.From = max(r.From, p.base)
	for ; r.From < min(r.To, p.end()) && len(out) < most; r.From++ {
		rec := p.log[r.From-p.base]
		out = append(out, found{rec.message(t.name, n, r.From), rec.at})
	}
	return out
}

// Progress implements infra.Groups.
func (b *Broker) Progress(ctx context.Context, groupName, topicName string) (map[int32]infra.Progress, error) {
	out := map[int32]infra.Progress{}
	err := b.look(ctx, topicName, func(t *topic) error {
		g := t.groups[groupName]
		for i, p := range t.parts {
			at := infra.Progress{Oldest: p.base, Next: p.base, End: p.end()}
			if g != nil {
				at.Next = max(g.cursors[i].low, p.base)
				at.Above = spans(g.cursors[i].done)
			}
			out[int32(i)] = at
		}
		return nil
	})
	return out, err
}

// spans joins neighbours.
func spans(offsets map[int64]struct{}) (out []infra.Span) {
	for _, at := range slices.Sorted(maps.Keys(offsets)) {
		if n := len(out); n > 0 && out[n-1].To == at {
			out[n-1].To++
			continue
		}
		out = append(out, infra.Span{From: at, To: at + 1})
	}
	return out
}

// Members implements infra.Groups. All are in this process.
func (b *Broker) Members(ctx context.Context, groupName string) ([]infra.Member, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.usable(ctx); err != nil {
		return nil, err
	}
	of := map[*subscription]*infra.Member{}
	for _, t := range b.topics {
		g := t.groups[groupName]
		if g == nil {
			continue
		}
		for _, s := range g.members {
			of[s] = &infra.Member{Client: "eventserver", Host: "memory", Partitions: map[string][]int32{}}
		}
		for n, c := range g.cursors { // a claim that lets go is still one
			if c.claim == nil {
				continue
			}
			m := of[c.claim.sub]
			if m == nil {
				m = &infra.Member{Client: "eventserver", Host: "memory", Partitions: map[string][]int32{}}
				of[c.claim.sub] = m
			}
			m.Partitions[t.name] = append(m.Partitions[t.name], int32(n))
		}
	}
	var out []infra.Member
	for _, m := range of {
		out = append(out, *m)
	}
	return out, nil
}

// Reset implements infra.Groups.
func (b *Broker) Reset(ctx context.Context, groupName, topicName string, to map[int32]int64) error {
	members, err := b.Members(ctx, groupName)
	if err != nil {
		return err
	}
	return b.look(ctx, topicName, func(t *topic) error {
		g := t.group(b, groupName)
		if len(members) > 0 || len(g.members) > 0 {
			return fmt.Errorf("memory: reset %s: %w", groupName, infra.ErrGroupBusy)
		}
		for n, at := range to {
			if n < 0 || int(n) >= len(g.cursors) {
				return fmt.Errorf("memory: topic %s has no partition %d", topicName, n)
			}
			g.cursors[n].low = min(max(at, t.parts[n].base), t.parts[n].end())
			clear(g.cursors[n].done)
		}
		return nil
	})
}
