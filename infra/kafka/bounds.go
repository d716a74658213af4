package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
)

// What listOffsets asks for beside a time in milliseconds.
const (
	atEnd    = -1
	atOldest = -2
)

// Bounds implements infra.LogTopics. The end is that of what is committed.
func (l *Log) Bounds(ctx context.Context, topic string, since time.Time) (map[int32]infra.Bounds, error) {
	if err := l.usable(ctx); err != nil {
		return nil, err
	}
	out, err := l.bounds(ctx, topic, since)
	if moved(err) { // what is known of the topic is old
		l.topics.forget(l.cfg.Topic(topic))
		out, err = l.bounds(ctx, topic, since)
	}
	if gone(err) {
		l.topics.forget(l.cfg.Topic(topic))
		return nil, fmt.Errorf("topic %s %w", l.cfg.Topic(topic), infra.ErrNoTopic)
	}
	return out, err
}

func (l *Log) bounds(ctx context.Context, topic string, since time.Time) (map[int32]infra.Bounds, error) {
	real := l.cfg.Topic(topic)
	info, err := l.topics.of(ctx, real)
	if err != nil {
		return nil, err
	}
	list := func(at int64) (map[int32]int64, error) {
		all, err := l.listOffsets(ctx, map[string]*topicInfo{real: info}, at)
		return all[real], err
	}
	oldest, err := list(atOldest)
	if err != nil {
		return nil, err
	}
	at := oldest
	if !since.IsZero() {
		// before 1970 there are -1 and -2, which ask for the ends, and what no broker takes
		if at, err = list(max(since.UnixMilli(), 0)); err != nil {
			return nil, err
		}
	}
	end, err := list(atEnd)
	if err != nil {
		return nil, err
	}
	out := make(map[int32]infra.Bounds, len(oldest))
	for p, low := range oldest {
		b := infra.Bounds{Oldest: low, At: at[p], End: max(end[p], low)}
		if b.At < 0 || b.At > b.End { // nothing is as young
			b.At = b.End
		}
		out[p] = b
	}
	return out, nil
}

// listOffsets asks for every partition of topics at once.
func (l *Log) listOffsets(ctx context.Context, of map[string]*topicInfo, at int64) (map[string]map[int32]int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.IsolationLevel = readCommitted
	want := 0
	for real, info := range of {
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Topic = real
		for p := range info.leaders {
			one := kmsg.NewListOffsetsRequestTopicPartition()
			one.Partition, one.Timestamp = int32(p), at
			topic.Partitions = append(topic.Partitions, one)
			want++
		}
		req.Topics = append(req.Topics, topic)
	}
	out := make(map[string]map[int32]int64, len(of))
	if want == 0 {
		return out, nil
	}
	resp, err := req.RequestWith(ctx, l.client)
	if err != nil {
		return nil, fmt.Errorf("offsets: %w", err)
	}
	for _, topic := range resp.Topics {
		have := out[topic.Topic]
		if have == nil {
			have = map[int32]int64{}
			out[topic.Topic] = have
		}
		for _, p := range topic.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("topic %s, partition %d: %w", topic.Topic, p.Partition, err)
			}
			have[p.Partition] = p.Offset
			want--
		}
	}
	if want != 0 {
		return nil, fmt.Errorf("offsets: %d partitions are missing in the answer", want)
	}
	return out, nil
}
