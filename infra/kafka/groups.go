package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"eventserver/infra"
	"eventserver/infra/progress"
)

var _ infra.Groups = (*Broker)(nil)

// Progress implements infra.Groups. Gaps of the offsets count as undone.
func (b *Broker) Progress(ctx context.Context, group, topic string) (map[int32]infra.Progress, error) {
	bounds, err := b.Bounds(ctx, topic, time.Time{})
	if err != nil {
		return nil, err
	}
	real, g := b.topic(topic), b.group(group)
	return inContext(ctx, func() (map[int32]infra.Progress, error) {
		var parts []int32
		for p := range bounds {
			parts = append(parts, p)
		}
		commits, err := b.admin.ListConsumerGroupOffsets(g, map[string][]int32{real: parts})
		b.asked(g, err)
		if errors.Is(err, sarama.ErrGroupIDNotFound) { // it has never joined: all is to be done
			commits, err = &sarama.OffsetFetchResponse{}, nil
		}
		if err != nil {
			return nil, err
		}
		out := make(map[int32]infra.Progress, len(bounds))
		for p, have := range bounds {
			state := progress.State{Next: have.Oldest}
			if block := commits.GetBlock(real, p); block != nil && block.Offset >= 0 {
				state, _ = codec.Decode(block.Offset, block.Metadata) // what is foreign counts as undone
			}
			out[p] = state.Of(have)
		}
		return out, nil
	})
}

// Members implements infra.Groups.
func (b *Broker) Members(ctx context.Context, group string) ([]infra.Member, error) {
	g := b.group(group)
	return inContext(ctx, func() ([]infra.Member, error) {
		described, err := b.admin.DescribeConsumerGroups([]string{g})
		b.asked(g, err)
		if err != nil {
			return nil, err
		}
		var out []infra.Member
		for _, d := range described {
			if d.Err != sarama.ErrNoError && !errors.Is(d.Err, sarama.ErrGroupIDNotFound) {
				return nil, fmt.Errorf("describe group %s: %w", g, d.Err)
			}
			for _, m := range d.Members {
				one := infra.Member{Client: m.ClientId, Host: m.ClientHost, Partitions: map[string][]int32{}}
				if m.GroupInstanceId != nil {
					one.Instance = *m.GroupInstanceId
				}
				given, err := m.GetMemberAssignment()
				if err == nil && given != nil {
					for real, parts := range given.Topics {
						one.Partitions[b.logical(real)] = parts
					}
				}
				out = append(out, one)
			}
		}
		return out, nil
	})
}

// Reset implements infra.Groups.
func (b *Broker) Reset(ctx context.Context, group, topic string, to map[int32]int64) error {
	members, err := b.Members(ctx, group)
	if err != nil {
		return err
	}
	if len(members) > 0 {
		return fmt.Errorf("reset %s: %w (%d)", b.group(group), infra.ErrGroupBusy, len(members))
	}
	real := b.topic(topic)
	commits := map[int32]sarama.OffsetAndMetadata{}
	for p, at := range to {
		commits[p] = sarama.OffsetAndMetadata{Offset: at, LeaderEpoch: -1}
	}
	_, err = inContext(ctx, func() (struct{}, error) {
		return struct{}{}, b.alter(b.group(group), real, commits)
	})
	if errors.Is(err, sarama.ErrUnknownMemberId) || errors.Is(err, sarama.ErrRebalanceInProgress) || errors.Is(err, sarama.ErrGroupSubscribedToTopic) {
		return fmt.Errorf("reset %s: %w: %w", b.group(group), infra.ErrGroupBusy, err)
	}
	return err
}

// alter writes commits of a group that has no members.
func (b *Broker) alter(group, real string, commits map[int32]sarama.OffsetAndMetadata) error {
	resp, err := b.admin.AlterConsumerGroupOffsets(group, map[string]map[int32]sarama.OffsetAndMetadata{real: commits}, nil)
	b.asked(group, err)
	if err != nil {
		return err
	}
	for p, code := range resp.Errors[real] {
		if code != sarama.ErrNoError {
			return fmt.Errorf("commit of group %s in %s/%d: %w", group, real, p, code)
		}
	}
	return nil
}
