package kafka

import (
	"maps"
	"slices"
)

// Done holds, for each partition of a topic, the offset below which every
// group that reads the topic has committed.
type Done map[int32]int64

// DoneByAll returns how far every known group of a topic has come: the groups
// that the cluster knows and those that this process subscribed. A group
// without a commit holds its partition back at the start.
func (b *Broker) DoneByAll(topic string) (Done, error) {
	real := b.topic(topic)
	parts, err := b.client.Partitions(real)
	if err != nil {
		return nil, err
	}
	groups, err := b.admin.ListConsumerGroups()
	if err != nil {
		return nil, err
	}
	done := Done{}
	for group := range groups {
		resp, err := b.admin.ListConsumerGroupOffsets(group, map[string][]int32{real: parts})
		if err != nil {
			return nil, err
		}
		if resp.Err != 0 {
			return nil, resp.Err
		}
		reads := b.subscribed(group, real)
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

// subscribed reports whether this process reads topic real in group.
func (b *Broker) subscribed(group, real string) bool {
	b.mu.Lock()
	subs := slices.Collect(maps.Keys(b.subs)) // Subscribe takes the locks in the other order
	b.mu.Unlock()
	for _, s := range subs {
		if s.group == group && s.reads(real) {
			return true
		}
	}
	return false
}

// Trim deletes the records of topic below the given offsets.
func (b *Broker) Trim(topic string, below Done) error {
	offsets := maps.Clone(below)
	maps.DeleteFunc(offsets, func(_ int32, at int64) bool { return at <= 0 })
	if len(offsets) == 0 {
		return nil
	}
	return b.admin.DeleteRecords(b.topic(topic), offsets)
}
