package local

import (
	"context"
	"fmt"
	"sync"

	"eventserver/infra"
)

// groups is the progress of every consumer group. All of it is in memory, so a Keep waits
// for nothing. Pebble gets it with the next batch that is due.
type groups struct {
	log *Log

	mu    sync.Mutex // also of topic.groups
	order uint64     // of Keeps and Appends: the later one wins
	dirty []*groupPosition
}

// groupPosition is the progress of a group in a partition; groups.mu.
type groupPosition struct {
	topic     *topic
	group     string
	partition int32

	position infra.Position
	known    bool   // something was kept
	order    uint64 // of position
	written  uint64 // order of the value in Pebble
	dirty    bool   // position must be written
	listed   bool   // in groups.dirty
	deleted  bool
}

// progressUpdate is the progress of an Append.
type progressUpdate struct {
	entry    *groupPosition
	position infra.Position
	order    uint64
}

func (g *groups) init(l *Log) { g.log = l }

func (g *groups) check(p *infra.Progressed) error {
	if err := checkGroup(p.Group); err != nil {
		return err
	}
	if _, err := g.log.partition(p.Topic, p.Partition); err != nil {
		return err
	}
	if p.Position.Next < 0 {
		return fmt.Errorf("local: group %s, topic %s: the next offset is %d: it must not be negative", p.Group, p.Topic, p.Position.Next)
	}
	if n := len(p.Position.Text); n > progressBytes {
		return fmt.Errorf("local: group %s, topic %s: the text of progress has %d bytes, at most %d", p.Group, p.Topic, n, progressBytes)
	}
	return nil
}

// of is the entry of a group in a partition; g.mu is held.
func (g *groups) of(t *topic, group string, partition int32) *groupPosition {
	parts := t.groups[group]
	if parts == nil {
		parts = make([]*groupPosition, len(t.parts))
		t.groups[group] = parts
	}
	k := parts[partition]
	if k == nil {
		k = &groupPosition{topic: t, group: group, partition: partition}
		parts[partition] = k
	}
	return k
}

// Keep implements infra.LogGroups.
func (l *Log) Keep(ctx context.Context, p ...infra.Progressed) error {
	if err := l.writable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	g := &l.groups
	for i := range p {
		if err := g.check(&p[i]); err != nil {
			return err
		}
	}
	g.mu.Lock()
	g.order++
	for i := range p {
		t, err := l.topic(p[i].Topic)
		if err != nil {
			continue // deleted this moment
		}
		k := g.of(t, p[i].Group, p[i].Partition)
		k.position, k.known, k.order, k.dirty = p[i].Position, true, g.order, true
		if !k.listed {
			k.listed = true
			g.dirty = append(g.dirty, k)
		}
	}
	g.mu.Unlock()
	l.committer.scheduleSync()
	return nil
}

// resolve finds the entries of an Append's progress.
func (g *groups) resolve(r *request, p []infra.Progressed) error {
	if len(p) == 0 {
		return nil
	}
	for i := range p {
		if err := g.check(&p[i]); err != nil {
			return err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.order++
	for i := range p {
		t, err := g.log.topic(p[i].Topic)
		if err != nil {
			return err
		}
		r.progress = append(r.progress, progressUpdate{g.of(t, p[i].Group, p[i].Partition), p[i].Position, g.order})
	}
	return nil
}

// encode adds a request's progress to a group.
func (g *groups) encode(into *group, r *request) {
	if len(r.progress) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range r.progress {
		k := p.entry
		if k.deleted || k.written > p.order {
			continue
		}
		k.written = p.order
		if k.order < p.order {
			k.dirty = false // an earlier Keep must not be written after it
		}
		_ = into.batch.Set(progressKey(k.topic.id, k.group, k.partition), encodePosition(into.seq, p.position), nil)
		into.progress = append(into.progress, p)
	}
}

// publish makes stored progress current.
func (g *groups) publish(ps []progressUpdate) {
	if len(ps) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range ps {
		if k := p.entry; k.order <= p.order { // a batch may have it twice
			k.position, k.known, k.order = p.position, true, p.order
		}
	}
}

func (g *groups) isDirty() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.dirty) > 0
}

// encodeDirty adds all new progress to a batch.
func (g *groups) encodeDirty(into *group) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, k := range g.dirty {
		g.dirty[i] = nil
		k.listed = false
		if !k.dirty || k.deleted {
			continue
		}
		k.dirty = false
		k.written = k.order
		_ = into.batch.Set(progressKey(k.topic.id, k.group, k.partition), encodePosition(into.seq, k.position), nil)
	}
	g.dirty = g.dirty[:0]
}

// forget drops the progress in deleted topics.
func (g *groups) forget(topics map[string]*topic) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range topics {
		for group := range t.groups {
			t.forget(group)
		}
	}
}

// forget drops a group; groups.mu is held.
func (t *topic) forget(group string) {
	for _, k := range t.groups[group] {
		if k != nil {
			k.deleted = true
		}
	}
	delete(t.groups, group)
}

// position is the last kept position.
func (g *groups) position(p *partition, group string) infra.Position {
	low, _ := p.bounds()
	g.mu.Lock()
	defer g.mu.Unlock()
	if parts := p.topic.groups[group]; parts != nil {
		if k := parts[p.n]; k != nil && k.known {
			return k.position
		}
	}
	return infra.Position{Next: low}
}

// Kept implements infra.LogGroups.
func (l *Log) Kept(ctx context.Context, topic string, groups ...string) (map[string]map[int32]infra.Position, error) {
	if err := l.readable(ctx); err != nil {
		return nil, err
	}
	t, err := l.topic(topic)
	if err != nil {
		return nil, err
	}
	l.groups.mu.Lock()
	defer l.groups.mu.Unlock()
	all := make(map[string]map[int32]infra.Position, max(len(groups), 1))
	if len(groups) == 0 {
		for group, parts := range t.groups {
			addPositions(all, group, parts)
		}
	}
	for _, group := range groups {
		addPositions(all, group, t.groups[group])
	}
	return all, nil
}

// Look implements infra.LogGroups.
func (l *Log) Look(ctx context.Context, of ...infra.GroupTopic) []infra.Looked {
	return infra.LookEach(ctx, l, of...)
}

// addPositions adds the positions of a group to all.
func addPositions(all map[string]map[int32]infra.Position, group string, parts []*groupPosition) {
	for _, k := range parts {
		if k == nil || !k.known {
			continue
		}
		if all[group] == nil {
			all[group] = make(map[int32]infra.Position, len(parts))
		}
		all[group][k.partition] = k.position
	}
}

// Reset implements infra.LogGroups.
func (l *Log) Reset(ctx context.Context, group, topic string, to map[int32]int64) error {
	if err := l.writable(); err != nil {
		return err
	}
	if err := checkGroup(group); err != nil {
		return err
	}
	b := infra.Batch{Durability: infra.Durable}
	for n, at := range to {
		b.Progress = append(b.Progress, infra.Progressed{Group: group, Topic: topic, Partition: n, Position: infra.Position{Next: at}})
	}
	thaw, err := l.freeze(group)
	if err != nil {
		return err
	}
	defer thaw()
	return l.Append(ctx, b)
}

// DeleteGroups implements infra.LogGroups.
func (l *Log) DeleteGroups(ctx context.Context, names ...string) error {
	if err := l.writable(); err != nil {
		return err
	}
	for _, name := range names {
		if err := checkGroup(name); err != nil {
			return err
		}
	}
	thaw, err := l.freeze(names...)
	if err != nil {
		return err
	}
	defer thaw()
	r := newRequest()
	r.durable = true
	r.encode = func(g *group) error {
		l.groups.mu.Lock()
		defer l.groups.mu.Unlock()
		for _, t := range *l.topics.byName.Load() {
			for _, name := range names {
				if t.groups[name] != nil {
					t.forget(name)
					from, to := groupSpan(t.id, name)
					_ = g.batch.DeleteRange(from, to, nil)
				}
			}
		}
		return nil
	}
	return l.do(ctx, r)
}
