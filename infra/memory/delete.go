package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"eventserver/infra"
)

// Topics implements infra.Topics.
func (b *Broker) Topics(ctx context.Context) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.topics)), b.usable(ctx)
}

// DeleteGroups implements infra.Groups.
func (b *Broker) DeleteGroups(ctx context.Context, groups ...string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.usable(ctx); err != nil {
		return err
	}
	busy := func(g *group) bool {
		return g != nil && (len(g.members) > 0 || slices.ContainsFunc(g.cursors, func(c *cursor) bool { return c.claim != nil }))
	}
	for _, t := range b.topics {
		for _, name := range groups {
			if busy(t.groups[name]) {
				return fmt.Errorf("memory: delete group %s: %w", name, infra.ErrGroupBusy)
			}
		}
	}
	for _, t := range b.topics {
		for _, name := range groups {
			delete(t.groups, name)
		}
	}
	return nil
}

// DeleteTopics implements infra.Topics.
func (b *Broker) DeleteTopics(ctx context.Context, topics ...string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range topics {
		delete(b.topics, name)
	}
	return b.usable(ctx)
}

// Leave implements infra.Groups: a closed subscriber keeps no place.
func (b *Broker) Leave(ctx context.Context, _ string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.usable(ctx)
}
