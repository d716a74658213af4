package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
)

// topics caches the partitions of topics, and their leaders.
type topics struct {
	log *Log

	mu     sync.Mutex
	cached map[string]*topicInfo // by real name
}

// topicInfo is immutable.
type topicInfo struct {
	real    string
	id      [16]byte
	leaders []int32 // by partition; -1: none
	copies  int     // least of its partitions
}

// metadataTries is the number of requests for metadata. The client asks the brokers in
// turn, and gives up when it comes to a dead one twice.
const metadataTries = 5

func (t *topics) init(l *Log) { t.log, t.cached = l, map[string]*topicInfo{} }

// get returns the cached topic, or asks for it. The error wraps infra.ErrNoTopic.
func (t *topics) get(ctx context.Context, real string) (*topicInfo, error) {
	t.mu.Lock()
	info := t.cached[real]
	t.mu.Unlock()
	if info != nil {
		return info, nil
	}
	all, errs := t.query(ctx, real)
	return all[real], errs[real]
}

// all is get for many topics. Each is in one of the two maps.
func (t *topics) all(ctx context.Context, reals ...string) (map[string]*topicInfo, map[string]error) {
	out := make(map[string]*topicInfo, len(reals))
	var missing []string
	t.mu.Lock()
	for _, real := range reals {
		if info := t.cached[real]; info != nil {
			out[real] = info
		} else {
			missing = append(missing, real)
		}
	}
	t.mu.Unlock()
	if len(missing) == 0 {
		return out, nil
	}
	found, errs := t.query(ctx, missing...)
	maps.Copy(out, found)
	return out, errs
}

// partition is get for an existing partition.
func (t *topics) partition(ctx context.Context, real string, partition int32) (*topicInfo, error) {
	info, err := t.get(ctx, real)
	if err == nil && (partition < 0 || int(partition) >= len(info.leaders)) {
		err = fmt.Errorf("topic %s has no partition %d", real, partition)
	}
	return info, err
}

// forget removes topics from the cache.
func (t *topics) forget(reals ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, real := range reals {
		delete(t.cached, real)
	}
}

// queryExisting asks the cluster for topics, in one request. Missing topics are not in the answer.
func (t *topics) queryExisting(ctx context.Context, reals ...string) (map[string]*topicInfo, error) {
	out, errs := t.query(ctx, reals...)
	for _, err := range errs {
		if !errors.Is(err, infra.ErrNoTopic) {
			return nil, err
		}
	}
	return out, nil
}

// query is queryExisting with the error of each topic that is not in the answer.
func (t *topics) query(ctx context.Context, reals ...string) (map[string]*topicInfo, map[string]error) {
	out, errs := make(map[string]*topicInfo, len(reals)), map[string]error{}
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // none; nil would be all
	for _, real := range reals {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(real)
		req.Topics = append(req.Topics, topic)
	}
	resp, err := req.RequestWith(ctx, t.log.client)
	for try := 1; connectionRefused(err) && try < metadataTries && pause(ctx, fetchPause) == nil; try++ {
		resp, err = req.RequestWith(ctx, t.log.client)
	}
	if err != nil {
		for _, real := range reals {
			errs[real] = fmt.Errorf("metadata: %w", err)
		}
		return out, errs
	}
	for _, one := range resp.Topics {
		real := ""
		if one.Topic != nil {
			real = *one.Topic
		}
		switch err := kerr.ErrorForCode(one.ErrorCode); {
		case errors.Is(err, kerr.UnknownTopicOrPartition):
			continue
		case err != nil && len(one.Partitions) == 0:
			errs[real] = fmt.Errorf("topic %s: %w", real, err)
			continue
		}
		info := &topicInfo{real: real, id: one.TopicID, leaders: slices.Repeat([]int32{-1}, len(one.Partitions)), copies: 1 << 30}
		for _, p := range one.Partitions {
			if int(p.Partition) >= len(info.leaders) {
				errs[real] = fmt.Errorf("topic %s: its partitions are not all there yet", real)
				break
			}
			info.leaders[p.Partition] = p.Leader
			info.copies = min(info.copies, len(p.Replicas))
		}
		if errs[real] == nil {
			out[real] = info
		}
	}
	for _, real := range reals {
		if out[real] == nil && errs[real] == nil {
			errs[real] = fmt.Errorf("topic %s %w", real, infra.ErrNoTopic)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, real := range reals {
		delete(t.cached, real)
	}
	maps.Copy(t.cached, out)
	return out, errs
}

// leaderChanged reports whether an answer means that the leader has changed, or that the topic is
// a new one.
func leaderChanged(err error) bool {
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

// connectionRefused reports whether the broker accepts no connections. It is down, and the cluster
// names it as the leader until it notices.
func connectionRefused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" && !op.Timeout()
}

// topicMissing reports whether an answer means that the topic does not exist.
func topicMissing(err error) bool {
	return errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID)
}
