package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
)

const (
	createTries = 40 // while the cluster has no controller, or does not know its new topics yet
	createPause = 250 * time.Millisecond
)

// CreateTopics implements infra.LogTopics. It creates missing topics in one request. For an
// existing topic with settings that lose events it returns an error.
func (l *Log) CreateTopics(ctx context.Context, want ...infra.Topic) error {
	if err := l.usable(ctx); err != nil || len(want) == 0 {
		return err
	}
	reals := make([]string, len(want))
	for i, t := range want {
		reals[i] = l.cfg.Topic(t.Name)
	}
	created := map[string]bool{}
	for try := 1; ; try++ {
		err := l.create(ctx, want, reals, created)
		if err == nil || !temporary(err) || try == createTries {
			return err
		}
		if err := pause(ctx, createPause); err != nil {
			return err
		}
	}
}

// create is one try. created gathers the new topics, which answer a moment later.
func (l *Log) create(ctx context.Context, want []infra.Topic, reals []string, created map[string]bool) error {
	known, err := l.topics.queryExisting(ctx, reals...)
	if err != nil {
		return err
	}
	var exist, missing []infra.Topic
	for i, t := range want {
		if created[reals[i]] {
			continue
		}
		if known[reals[i]] != nil {
			exist = append(exist, t)
		} else {
			missing = append(missing, t)
		}
	}
	if err := l.check(ctx, exist, known); err != nil {
		return err
	}
	if len(missing) > 0 {
		existed, err := l.createMissing(ctx, missing, created)
		if err != nil {
			return err
		}
		if existed { // another process made some meanwhile: they are looked at like all that exist
			return errNotYet
		}
	}
	if known, err = l.topics.queryExisting(ctx, reals...); err != nil {
		return err
	}
	return l.checkServing(ctx, reals, known, created)
}

var errNotYet = errors.New("a topic is not there yet")

// temporary reports whether another try may succeed.
func temporary(err error) bool {
	return errors.Is(err, errNotYet) || leaderChanged(err) || errors.Is(err, kerr.NotController) || errors.Is(err, kerr.RequestTimedOut) || errors.Is(err, kerr.CoordinatorNotAvailable)
}

func (l *Log) createMissing(ctx context.Context, missing []infra.Topic, created map[string]bool) (existed bool, err error) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(retryTimeout.Milliseconds())
	for _, t := range missing {
		req.Topics = append(req.Topics, l.topicRequest(t))
	}
	resp, err := req.RequestWith(ctx, l.client)
	if err != nil {
		return false, fmt.Errorf("create topics: %w", err)
	}
	var errs []error
	for _, t := range resp.Topics {
		switch err := kerr.ErrorForCode(t.ErrorCode); {
		case err == nil:
			created[t.Topic] = true
		case errors.Is(err, kerr.TopicAlreadyExists):
			existed = true
		default:
			why := ""
			if t.ErrorMessage != nil {
				why = ": " + *t.ErrorMessage
			}
			errs = append(errs, fmt.Errorf("create topic %s: %w%s", t.Topic, err, why))
		}
	}
	return existed, errors.Join(errs...)
}

func (l *Log) topicRequest(t infra.Topic) kmsg.CreateTopicsRequestTopic {
	req := kmsg.NewCreateTopicsRequestTopic()
	req.Topic, req.NumPartitions, req.ReplicationFactor = l.cfg.Topic(t.Name), l.cfg.Partitions, l.cfg.Replication
	set := func(name, value string) {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = name, &value
		req.Configs = append(req.Configs, c)
	}
	set("max.message.bytes", strconv.Itoa(l.cfg.MaxMessageBytes+overhead))
	set("unclean.leader.election.enable", "false")
	if l.cfg.Retention > 0 && !t.Keep {
		set("retention.ms", strconv.FormatInt(l.cfg.Retention.Milliseconds(), 10))
	} else {
		set("retention.ms", "-1")
	}
	if l.cfg.Replication >= 3 {
		set("min.insync.replicas", "2")
	}
	return req
}

// checkServing returns an error until every topic has known leaders, and every partition of a new
// topic answers. New partitions refuse requests for a moment.
func (l *Log) checkServing(ctx context.Context, reals []string, known map[string]*topicInfo, created map[string]bool) error {
	ask := map[string]*topicInfo{}
	for _, real := range reals {
		info := known[real]
		if info == nil || len(info.leaders) == 0 || slices.Contains(info.leaders, -1) {
			return fmt.Errorf("topic %s: %w", real, errNotYet)
		}
		if created[real] {
			ask[real] = info
		}
	}
	for _, one := range l.listOffsets(ctx, ask, offsetEnd) {
		if one.err != nil {
			return one.err
		}
	}
	return nil
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Topics implements infra.LogTopics.
func (l *Log) Topics(ctx context.Context) ([]string, error) {
	if err := l.usable(ctx); err != nil {
		return nil, err
	}
	req := kmsg.NewPtrMetadataRequest() // of all topics, as they are now
	resp, err := req.RequestWith(ctx, l.client)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	out := []string{}
	for _, t := range resp.Topics {
		if t.ErrorCode == 0 && t.Topic != nil && strings.HasPrefix(*t.Topic, l.cfg.TopicPrefix) && !strings.HasPrefix(*t.Topic, "__") {
			out = append(out, l.cfg.Logical(*t.Topic))
		}
	}
	slices.Sort(out)
	return out, nil
}

// DeleteTopics implements infra.LogTopics. A cluster deletes the progress with them.
func (l *Log) DeleteTopics(ctx context.Context, topics ...string) error {
	if err := l.usable(ctx); err != nil || len(topics) == 0 {
		return err
	}
	reals := make([]string, len(topics))
	for i, t := range topics {
		reals[i] = l.cfg.Topic(t)
	}
	resp, err := l.admin.DeleteTopics(ctx, reals...)
	if err != nil {
		return fmt.Errorf("delete topics: %w", err)
	}
	var errs []error
	for _, r := range resp {
		if r.Err != nil && !topicMissing(r.Err) {
			errs = append(errs, fmt.Errorf("delete topic %s: %w", r.Topic, r.Err))
		}
	}
	l.topics.forget(reals...)
	l.client.PurgeTopicsFromProducing(reals...)
	return errors.Join(errs...)
}

// Trim implements infra.LogTopics.
func (l *Log) Trim(ctx context.Context, topic string, below map[int32]int64) error {
	bounds, err := l.Bounds(ctx, topic, time.Time{})
	if err != nil {
		return err
	}
	real := l.cfg.Topic(topic)
	to := kmsg.NewDeleteRecordsRequestTopic()
	to.Topic = real
	for p, at := range below {
		if b, there := bounds[p]; there && at > b.Oldest {
			one := kmsg.NewDeleteRecordsRequestTopicPartition()
			one.Partition, one.Offset = p, min(at, b.End)
			to.Partitions = append(to.Partitions, one)
		}
	}
	if len(to.Partitions) == 0 {
		return nil
	}
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = int32(retryTimeout.Milliseconds())
	req.Topics = append(req.Topics, to)
	resp, err := req.RequestWith(ctx, l.client)
	if err != nil {
		return fmt.Errorf("trim topic %s: %w", real, err)
	}
	var errs []error
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				errs = append(errs, fmt.Errorf("trim topic %s, partition %d: %w", real, p.Partition, err))
			}
		}
	}
	return errors.Join(errs...)
}
