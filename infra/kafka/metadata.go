package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
)

// topics knows the partitions of topics, and who leads them.
type topics struct {
	log *Log

	mu    sync.Mutex
	known map[string]*topicInfo // by real name
}

// topicInfo is not changed.
type topicInfo struct {
	real    string
	id      [16]byte
	leaders []int32 // by partition; -1: none
	copies  int     // least of its partitions
}

func (t *topics) init(l *Log) { t.log, t.known = l, map[string]*topicInfo{} }

// of is what is known of a topic; it asks for one that is not. The error wraps
// infra.ErrNoTopic.
func (t *topics) of(ctx context.Context, real string) (*topicInfo, error) {
	t.mu.Lock()
	info := t.known[real]
	t.mu.Unlock()
	if info != nil {
		return info, nil
	}
	all, err := t.ask(ctx, real)
	if err != nil {
		return nil, err
	}
	if info = all[real]; info == nil {
		return nil, fmt.Errorf("topic %s %w", real, infra.ErrNoTopic)
	}
	return info, nil
}

// partition is of, for a partition that there is.
func (t *topics) partition(ctx context.Context, real string, partition int32) (*topicInfo, error) {
	info, err := t.of(ctx, real)
	if err == nil && (partition < 0 || int(partition) >= len(info.leaders)) {
		err = fmt.Errorf("topic %s has no partition %d", real, partition)
	}
	return info, err
}

// forget has what is known of topics asked for again.
func (t *topics) forget(reals ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, real := range reals {
		delete(t.known, real)
	}
}

// ask asks the cluster for topics, all of them in one request; those that there are
// not are not in the answer.
func (t *topics) ask(ctx context.Context, reals ...string) (map[string]*topicInfo, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // none; nil would be all
	for _, real := range reals {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(real)
		req.Topics = append(req.Topics, topic)
	}
	resp, err := req.RequestWith(ctx, t.log.client)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	out := map[string]*topicInfo{}
	for _, one := range resp.Topics {
		real := ""
		if one.Topic != nil {
			real = *one.Topic
		}
		switch err := kerr.ErrorForCode(one.ErrorCode); {
		case errors.Is(err, kerr.UnknownTopicOrPartition):
			continue
		case err != nil && len(one.Partitions) == 0:
			return nil, fmt.Errorf("topic %s: %w", real, err)
		}
		info := &topicInfo{real: real, id: one.TopicID, leaders: slices.Repeat([]int32{-1}, len(one.Partitions)), copies: 1 << 30}
		for _, p := range one.Partitions {
			if int(p.Partition) >= len(info.leaders) {
				return nil, fmt.Errorf("topic %s: its partitions are not all there yet", real)
			}
			info.leaders[p.Partition] = p.Leader
			info.copies = min(info.copies, len(p.Replicas))
		}
		out[real] = info
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, real := range reals {
		delete(t.known, real)
	}
	maps.Copy(t.known, out)
	return out, nil
}

// moved reports whether an answer says that somebody else must be asked, or that the
// topic is another one.
func moved(err error) bool {
	for _, e := range []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InconsistentTopicID, kerr.LeaderNotAvailable,
		kerr.ReplicaNotAvailable, kerr.KafkaStorageError, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.OffsetNotAvailable,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// gone reports whether an answer says that there is no such topic.
func gone(err error) bool {
	return errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID)
}
