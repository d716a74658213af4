package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
)

// What listOffsets asks for beside a time in milliseconds.
const (
	offsetEnd    = -1
	offsetOldest = -2
)

// topicResult has the answers of a topic's partitions.
type topicResult[T any] struct {
	partitions map[int32]T
	err        error
}

// Bounds implements infra.LogTopics. The end is that of the committed records.
func (l *Log) Bounds(ctx context.Context, topic string, since time.Time) (map[int32]infra.Bounds, error) {
	if err := l.usable(ctx); err != nil {
		return nil, err
	}
	real := l.cfg.Topic(topic)
	one := l.bounds(ctx, since, real)[real]
	return one.partitions, one.err
}

// bounds asks for all topics at once, and again while partitions move, such as after the
// death of a broker. The error wraps infra.ErrNoTopic for a missing topic.
func (l *Log) bounds(ctx context.Context, since time.Time, reals ...string) map[string]topicResult[infra.Bounds] {
	out := l.cachedBounds(ctx, since, reals)
	until := time.Now().Add(retryTimeout)
	for try := 1; ; try++ {
		var old []string
		for real, one := range out {
			if leaderChanged(one.err) && (try == 1 || !topicMissing(one.err)) || connectionRefused(one.err) { // the cached metadata are old
				old = append(old, real)
			}
		}
		if len(old) == 0 || time.Now().After(until) || try > 1 && pause(ctx, fetchPause) != nil {
			break
		}
		l.topics.forget(old...)
		maps.Copy(out, l.cachedBounds(ctx, since, old))
	}
	for real, one := range out {
		if topicMissing(one.err) {
			l.topics.forget(real)
			out[real] = topicResult[infra.Bounds]{err: fmt.Errorf("topic %s %w", real, infra.ErrNoTopic)}
		}
	}
	return out
}

// cachedBounds is bounds with the known metadata of the topics.
func (l *Log) cachedBounds(ctx context.Context, since time.Time, reals []string) map[string]topicResult[infra.Bounds] {
	out := make(map[string]topicResult[infra.Bounds], len(reals))
	known, errs := l.topics.all(ctx, reals...)
	for real, err := range errs {
		out[real] = topicResult[infra.Bounds]{err: err}
	}
	list := func(at int64) map[string]topicResult[int64] {
		all := l.listOffsets(ctx, known, at)
		for real, one := range all {
			if one.err != nil { // nothing more is asked
				out[real] = topicResult[infra.Bounds]{err: one.err}
				delete(known, real)
			}
		}
		return all
	}
	oldest := list(offsetOldest)
	at := oldest
	if !since.IsZero() {
		// negative times are invalid, or like -1 and -2 mean the ends
		at = list(max(since.UnixMilli(), 0))
	}
	end := list(offsetEnd)
	for real := range known {
		of := make(map[int32]infra.Bounds, len(oldest[real].partitions))
		for p, low := range oldest[real].partitions {
			b := infra.Bounds{Oldest: low, At: at[real].partitions[p], End: max(end[real].partitions[p], low)}
			if b.At < 0 || b.At > b.End { // nothing is as young
				b.At = b.End
			}
			of[p] = b
		}
		out[real] = topicResult[infra.Bounds]{partitions: of}
	}
	return out
}

// listOffsets asks for every partition of topics at once, and has an answer for each
// topic.
func (l *Log) listOffsets(ctx context.Context, of map[string]*topicInfo, at int64) map[string]topicResult[int64] {
	req := kmsg.NewPtrListOffsetsRequest()
	req.IsolationLevel = readCommitted
	for real, info := range of {
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Topic = real
		for p := range info.leaders {
			one := kmsg.NewListOffsetsRequestTopicPartition()
			one.Partition, one.Timestamp = int32(p), at
			topic.Partitions = append(topic.Partitions, one)
		}
		if len(topic.Partitions) > 0 {
			req.Topics = append(req.Topics, topic)
		}
	}
	out := make(map[string]topicResult[int64], len(of))
	for real, info := range of {
		out[real] = topicResult[int64]{partitions: make(map[int32]int64, len(info.leaders))}
	}
	if len(req.Topics) == 0 {
		return out
	}
	fail := func(real string, err error) {
		if one := out[real]; one.err == nil {
			one.err = fmt.Errorf("offsets of topic %s: %w", real, err)
			out[real] = one
		}
	}
	for _, shard := range l.client.RequestSharded(ctx, req) { // one for each broker
		if shard.Err != nil {
			for _, topic := range shard.Req.(*kmsg.ListOffsetsRequest).Topics {
				fail(topic.Topic, shard.Err)
			}
			continue
		}
		for _, topic := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range topic.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					fail(topic.Topic, fmt.Errorf("partition %d: %w", p.Partition, err))
					continue
				}
				out[topic.Topic].partitions[p.Partition] = p.Offset
			}
		}
	}
	for real, info := range of {
		if n := len(info.leaders) - len(out[real].partitions); n > 0 {
			fail(real, fmt.Errorf("%d partitions are missing in the answer", n))
		}
	}
	return out
}

// maxLookGroups is the maximum number of groups in one request of Look. The text of each
// partition may have some kilobytes, and the client limits an answer.
const maxLookGroups = 500

// Look implements infra.LogGroups.
func (l *Log) Look(ctx context.Context, of ...infra.GroupTopic) []infra.Looked {
	out := make([]infra.Looked, 0, len(of))
	for some := range slices.Chunk(of, maxLookGroups) {
		out = append(out, l.look(ctx, some)...)
	}
	return out
}

func (l *Log) look(ctx context.Context, of []infra.GroupTopic) []infra.Looked {
	out := make([]infra.Looked, len(of))
	if err := l.usable(ctx); err != nil {
		for i := range out {
			out[i].Err = err
		}
		return out
	}
	reals, groups := map[string]struct{}{}, map[string]struct{}{}
	for _, one := range of {
		reals[l.cfg.Topic(one.Topic)] = struct{}{}
	}
	bounds := l.bounds(ctx, time.Time{}, keysOf(reals)...)
	for i, one := range of {
		have := bounds[l.cfg.Topic(one.Topic)]
		if out[i] = (infra.Looked{Bounds: have.partitions, Err: have.err}); have.err == nil {
			groups[l.cfg.Group(one.Group)] = struct{}{}
		}
	}
	kept := l.fetchCommits(ctx, keysOf(groups)...)
	for i, one := range of {
		if out[i].Err != nil {
			continue
		}
		commits := kept[l.cfg.Group(one.Group)]
		if commits.err != nil {
			out[i] = infra.Looked{Err: fmt.Errorf("progress of group %s: %w", one.Group, commits.err)}
			continue
		}
		out[i].Kept = map[int32]infra.Position{}
		for p := range out[i].Bounds {
			if c, known := commits.at[topicPartition{l.cfg.Topic(one.Topic), p}]; known && c.kept {
				out[i].Kept[p] = c.position
			}
		}
	}
	return out
}
