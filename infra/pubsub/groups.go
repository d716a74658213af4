package pubsub

import (
	"context"
	"fmt"
	"time"

	"eventserver/infra"
	"eventserver/infra/progress"
)

// Progress implements infra.Broker. Gaps of the offsets count as undone, and so do offsets
// in a foreign text.
func (b *broker) Progress(ctx context.Context, of ...infra.GroupTopic) []infra.GroupProgress {
	out := make([]infra.GroupProgress, len(of))
	if err := b.usable(ctx); err != nil {
		for i := range out {
			out[i].Err = err
		}
		return out
	}
	for i, looked := range b.log.Look(ctx, of...) {
		if looked.Err != nil {
			out[i].Err = missing(of[i].Topic, looked.Err)
			continue
		}
		out[i].Partitions = b.progressOf(of[i], looked)
	}
	return out
}

func (b *broker) progressOf(of infra.GroupTopic, looked infra.Looked) map[int32]infra.Progress {
	own := b.ownProgress(of.Group, of.Topic)
	out := make(map[int32]infra.Progress, len(looked.Bounds))
	for p, have := range looked.Bounds {
		state := progress.State{Next: have.Oldest}
		if now, ours := own[p]; ours {
			state = now
		} else if at, known := looked.Kept[p]; known {
			state, _ = b.codec.Decode(at.Next, at.Text)
		}
		out[p] = state.Of(have)
	}
	return out
}

// ownProgress is the progress of the partitions that this process reads at the live end.
// The kept progress is behind it.
func (b *broker) ownProgress(group, topic string) map[int32]progress.State {
	b.mu.Lock()
	l := b.lives[topic]
	b.mu.Unlock()
	if l == nil {
		return nil
	}
	out := map[int32]progress.State{}
	for _, s := range l.index.group(group) {
		for _, c := range s.owned() {
			out[c.base.Partition] = c.state()
		}
	}
	return out
}

// Members implements infra.Broker.
func (b *broker) Members(ctx context.Context, group string) ([]infra.Member, error) {
	if err := b.usable(ctx); err != nil {
		return nil, err
	}
	return b.log.Members(ctx, group)
}

// Reset implements infra.Broker.
func (b *broker) Reset(ctx context.Context, group, topic string, to map[int32]int64) error {
	bounds, err := b.Bounds(ctx, topic, time.Time{})
	if err != nil {
		return err
	}
	within := make(map[int32]int64, len(to))
	for p, at := range to {
		have, known := bounds[p]
		if !known {
			return fmt.Errorf("topic %s has no partition %d", topic, p)
		}
		within[p] = min(max(at, have.Oldest), have.End)
	}
	return b.log.Reset(ctx, group, topic, within)
}

// DeleteGroups implements infra.Broker.
func (b *broker) DeleteGroups(ctx context.Context, groups ...string) error {
	if err := b.usable(ctx); err != nil {
		return err
	}
	return b.log.DeleteGroups(ctx, groups...)
}

// Leave implements infra.Broker.
func (b *broker) Leave(ctx context.Context, group string) error {
	if err := b.usable(ctx); err != nil {
		return err
	}
	return b.log.Leave(ctx, group)
}
