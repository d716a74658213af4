package kafka

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/IBM/sarama"

	"eventserver/infra"
	"eventserver/infra/progress"
)

// Done holds, for each partition of a topic, the offset below which every
// group that reads the topic has committed.
type Done map[int32]int64

// DoneByAll returns how far every group of a topic has come: the groups that
// have a commit there, those whose members read it now, and those that this
// process subscribed, joined or not. A group without a commit holds its
// partition back at the start.
func (b *Broker) DoneByAll(topic string) (Done, error) {
	real := b.topic(topic)
	parts, err := b.client.Partitions(real)
	if err != nil {
		return nil, err
	}
	groups, err := b.groups(real)
	if err != nil {
		return nil, err
	}
	done := Done{}
	for group, reads := range groups {
		resp, err := b.admin.ListConsumerGroupOffsets(group, map[string][]int32{real: parts})
		if errors.Is(err, sarama.ErrGroupIDNotFound) { // it has not joined yet
			resp, err = &sarama.OffsetFetchResponse{}, nil
		}
		if err != nil {
			return nil, err
		}
		commits := Done{}
		for _, p := range parts {
			if block := resp.GetBlock(real, p); block != nil && block.Offset >= 0 {
				commits[p] = block.Offset
				reads = true
			}
		}
		if !reads {
			continue // a group of other topics
		}
		for _, p := range parts {
			at := commits[p] // 0 without a commit: nothing may go
			if low, known := done[p]; !known || at < low {
				done[p] = at
			}
		}
	}
	return done, nil
}

// groups returns the groups there are, each with whether it reads topic real
// as far as its members say. They say nothing while they rebalance: then it may.
func (b *Broker) groups(real string) (map[string]bool, error) {
	listed, err := b.admin.ListConsumerGroups()
	if err != nil {
		return nil, err
	}
	described, err := b.admin.DescribeConsumerGroups(slices.Collect(maps.Keys(listed)))
	if err != nil {
		return nil, err
	}
	reads := map[string]bool{}
	for _, g := range described {
		if g.Err != sarama.ErrNoError {
			return nil, fmt.Errorf("describe group %s: %w", g.GroupId, g.Err)
		}
		reads[g.GroupId] = g.State == "PreparingRebalance" || g.State == "CompletingRebalance"
		for _, m := range g.Members {
			meta, err := m.GetMemberMetadata()
			if err != nil || meta != nil && slices.Contains(meta.Topics, real) {
				reads[g.GroupId] = true
			}
		}
	}
	b.mu.Lock()
	subs := slices.Collect(maps.Keys(b.subs)) // Subscribe takes the locks in the other order
	b.mu.Unlock()
	for _, s := range subs {
		if s.reads(real) {
			reads[s.group] = true
		}
	}
	return reads, nil
}

// Trim deletes the records of topic below the given offsets, but for the last
// one of a partition: the embedded cluster learns from it, when it starts, how
// far the partition has come.
func (b *Broker) Trim(topic string, below Done) error {
	real := b.topic(topic)
	offsets := map[int32]int64{}
	for p, at := range below {
		if at <= 0 {
			continue
		}
		newest, err := b.client.GetOffset(real, p, sarama.OffsetNewest)
		if err != nil {
			return err
		}
		if at = min(at, newest-1); at > 0 {
			offsets[p] = at
		}
	}
	if len(offsets) == 0 {
		return nil
	}
	return b.admin.DeleteRecords(real, offsets)
}

// Rewind lowers what groups have committed beyond the end of a partition. A
// damaged log that lost its tail leaves that behind, and the next records,
// which get the offsets of the lost ones, would count as done. Call it before
// anything is published or subscribed.
func (b *Broker) Rewind() error {
	groups, err := b.admin.ListConsumerGroups()
	if err != nil {
		return err
	}
	var errs []error
	for group := range groups {
		errs = append(errs, b.rewindGroup(group))
	}
	return errors.Join(errs...)
}

func (b *Broker) rewindGroup(group string) error {
	resp, err := b.admin.ListConsumerGroupOffsets(group, nil) // of all topics
	if err != nil {
		return fmt.Errorf("commits of group %s: %w", group, err)
	}
	for _, g := range resp.Groups {
		for real, blocks := range g.Blocks {
			for p, block := range blocks {
				end, err := b.client.GetOffset(real, p, sarama.OffsetNewest)
				if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
					continue
				}
				if err != nil {
					return fmt.Errorf("end of %s/%d: %w", real, p, err)
				}
				at, metadata, changed := clip(block.Offset, block.Metadata, end)
				if !changed {
					continue
				}
				b.cfg.Logger.Warn("the log is shorter than what was committed: its end was lost",
					slog.String("topic", real), slog.Int("partition", int(p)), slog.String("group", group),
					slog.Int64("committed", block.Offset), slog.Int64("end", end))
				err = b.alter(group, map[string]map[int32]sarama.OffsetAndMetadata{real: {p: {Offset: at, LeaderEpoch: -1, Metadata: metadata}}}, nil)
				if err != nil {
					return fmt.Errorf("rewind to %d: %w", at, err)
				}
			}
		}
	}
	return nil
}

// clip cuts a commit off at end. Metadata that is not ours stays as it is. A note
// goes: what it was about may be lost as well.
func clip(offset int64, metadata string, end int64) (int64, string, bool) {
	if offset < 0 {
		return offset, metadata, false
	}
	if offset > end {
		return end, "", true
	}
	state, err := codec.Decode(offset, metadata)
	spans := state.Above
	if err != nil || len(spans) == 0 || spans[len(spans)-1].To <= end {
		return offset, metadata, false
	}
	spans = slices.DeleteFunc(spans, func(s infra.Span) bool { return s.From >= end })
	if n := len(spans); n > 0 {
		spans[n-1].To = min(spans[n-1].To, end)
	}
	metadata, _ = codec.Encode(progress.State{Next: offset, Above: spans})
	return offset, metadata, true
}
