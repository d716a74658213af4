package kafka

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// Commit is what a group has done of one partition. Topic and Group are the
// cluster's own names, with the prefix.
type Commit struct {
	Group     string `json:"group"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`             // of the first message that is not done
	Metadata  string `json:"metadata,omitempty"` // what is done above it
}

// Advance commits what a journal knows and the cluster does not. Call it before
// anything is subscribed. A commit that the cluster has gone beyond is left out.
func (b *Broker) Advance(commits []Commit) error {
	groups := map[string]map[string]map[int32]sarama.OffsetAndMetadata{}
	for _, c := range commits {
		if groups[c.Group] == nil {
			groups[c.Group] = map[string]map[int32]sarama.OffsetAndMetadata{}
		}
		if groups[c.Group][c.Topic] == nil {
			groups[c.Group][c.Topic] = map[int32]sarama.OffsetAndMetadata{}
		}
		groups[c.Group][c.Topic][c.Partition] = sarama.OffsetAndMetadata{Offset: c.Offset, LeaderEpoch: -1, Metadata: c.Metadata}
	}
	var errs []error
	for group, topics := range groups {
		if err := b.advance(group, topics); err != nil {
			errs = append(errs, fmt.Errorf("commits of group %s: %w", group, err))
		}
	}
	return errors.Join(errs...)
}

func (b *Broker) advance(group string, topics map[string]map[int32]sarama.OffsetAndMetadata) error {
	known, err := b.admin.ListConsumerGroupOffsets(group, nil) // of all topics
	if errors.Is(err, sarama.ErrGroupIDNotFound) {             // its log is lost: ours is what there is
		known, err = &sarama.OffsetFetchResponse{}, nil
	}
	if err != nil {
		return err
	}
	for _, g := range known.Groups {
		for topic, blocks := range g.Blocks {
			for p, block := range blocks {
				ours, noted := topics[topic][p]
				if noted && (block.Offset > ours.Offset || block.Offset == ours.Offset && doneAbove(block.Offset, block.Metadata) >= doneAbove(ours.Offset, ours.Metadata)) {
					delete(topics[topic], p)
				}
			}
		}
	}
	for topic, partitions := range topics {
		if len(partitions) == 0 {
			continue
		}
		// A topic may have been removed meanwhile.
		err := b.alter(group, map[string]map[int32]sarama.OffsetAndMetadata{topic: partitions}, []sarama.KError{sarama.ErrUnknownTopicOrPartition})
		if err != nil {
			return err
		}
	}
	return nil
}

// doneAbove is how much metadata says is done above an offset; 0 when it cannot
// be read.
func doneAbove(offset int64, metadata string) (n int64) {
	state, _ := codec.Decode(offset, metadata)
	for _, s := range state.Above {
		n += s.To - s.From
	}
	return n
}
