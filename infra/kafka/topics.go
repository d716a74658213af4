package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"eventserver/infra"
)

// EnsureTopics implements infra.Topics. A topic that exists is checked: it is
// an error when its settings lose events.
func (b *Broker) EnsureTopics(ctx context.Context, topics ...infra.Topic) error {
	_, err := inContext(ctx, func() (struct{}, error) {
		var errs []error
		var created []string
		for _, t := range topics {
			real := b.topic(t.Name)
			err := b.createTopic(ctx, real, b.topicDetail(t))
			if err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) {
				errs = append(errs, fmt.Errorf("create topic %s: %w", real, err))
				continue
			}
			if err != nil {
				errs = append(errs, b.checkExisting(ctx, real, t))
			} else {
				created = append(created, real)
			}
		}
		if err := errors.Join(errs...); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, b.awaitTopics(ctx, topics, created)
	})
	return err
}

// createTopic asks the controller. One that has just died is asked in vain until
// the cluster has another, and sarama knows only the one it had: a server that
// starts at that moment waits for it.
func (b *Broker) createTopic(ctx context.Context, real string, detail *sarama.TopicDetail) error {
	const tries, pause = 40, 500 * time.Millisecond
	for n := 1; ; n++ {
		err := b.admin.CreateTopic(real, detail, false)
		b.asked("", err)
		var answered sarama.KError // wrapped by TopicError too: the controller has spoken
		if err == nil || errors.As(err, &answered) || n == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pause):
		}
		_, _ = b.client.RefreshController() // its error is the next try's
	}
}

func (b *Broker) topicDetail(t infra.Topic) *sarama.TopicDetail {
	set := func(s string) *string { return &s }
	entries := map[string]*string{
		"max.message.bytes":              set(strconv.Itoa(b.cfg.MaxMessageBytes)),
		"unclean.leader.election.enable": set("false"),
		"retention.ms":                   set("-1"),
	}
	if b.cfg.Retention > 0 && !t.Keep {
		entries["retention.ms"] = set(strconv.FormatInt(b.cfg.Retention.Milliseconds(), 10))
	}
	if b.cfg.Replication >= 3 {
		entries["min.insync.replicas"] = set("2")
	}
	return &sarama.TopicDetail{NumPartitions: b.cfg.Partitions, ReplicationFactor: b.cfg.Replication, ConfigEntries: entries}
}

// checkExisting waits for a topic that another process has made a moment ago: the
// cluster says that it exists before it can describe it. Two servers that start
// together, or are told of a new destination together, meet that.
func (b *Broker) checkExisting(ctx context.Context, real string, t infra.Topic) error {
	const tries, pause = 50, 100 * time.Millisecond
	for n := 1; ; n++ {
		err := b.checkTopic(real, t)
		if !errors.Is(err, sarama.ErrUnknownTopicOrPartition) || n == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

// checkTopic refuses settings of an existing topic that break durability.
func (b *Broker) checkTopic(real string, t infra.Topic) error {
	results, err := b.admin.DescribeConfigs([]*sarama.ConfigResource{{Type: sarama.TopicResource, Name: real}}, sarama.DescribeConfigsOptions{})
	if err != nil {
		return fmt.Errorf("describe topic %s: %w", real, err)
	}
	var entries []sarama.ConfigEntry
	var errs []error
	if described, err := b.admin.DescribeTopics([]string{real}); err == nil && len(described) == 1 {
		for _, p := range described[0].Partitions {
			if len(p.Replicas) < int(b.cfg.Replication) {
				errs = append(errs, fmt.Errorf("topic %s: partition %d has %d copies, fewer than broker.replication %d; reassign it, or lower the setting",
					real, p.ID, len(p.Replicas), b.cfg.Replication))
				break
			}
		}
		if n := len(described[0].Partitions); n > 0 && n != int(b.cfg.Partitions) {
			b.cfg.Logger.Warn("topic exists with another number of partitions; it is used as it is", slog.String("topic", real),
				slog.Int("partitions", n), slog.Int("configured", int(b.cfg.Partitions)))
		}
	}
	for _, r := range results {
		if r.ErrorCode != sarama.ErrNoError {
			errs = append(errs, fmt.Errorf("describe topic %s: %w", real, r.ErrorCode))
		}
		entries = append(entries, r.Configs...)
	}
	bad := func(key, value, cure string) {
		errs = append(errs, fmt.Errorf("topic %s: %s=%s loses events; set %s", real, key, value, cure))
	}
	for _, e := range entries {
		switch e.Name {
		case "cleanup.policy":
			if strings.Contains(e.Value, "compact") {
				bad(e.Name, e.Value, "cleanup.policy=delete")
			}
		case "retention.ms":
			if ms, err := strconv.ParseInt(e.Value, 10, 64); err == nil && ms >= 0 {
				switch keep := b.cfg.Retention; {
				case t.Keep:
					bad(e.Name, e.Value, "it to -1, poisoned events are kept until somebody redrives them")
				case keep <= 0:
					bad(e.Name, e.Value, "it to -1, or broker.retention to what it is meant to be")
				case time.Duration(ms)*time.Millisecond < keep:
					bad(e.Name, e.Value, fmt.Sprintf("it to %d or more, or broker.retention to less than %v", keep.Milliseconds(), keep))
				}
			}
		case "retention.bytes":
			if n, err := strconv.ParseInt(e.Value, 10, 64); err == nil && n >= 0 {
				bad(e.Name, e.Value, "it to -1")
			}
		case "unclean.leader.election.enable":
			if e.Value == "true" {
				bad(e.Name, e.Value, "it to false")
			}
		case "max.message.bytes":
			if n, err := strconv.Atoi(e.Value); err == nil && n < b.cfg.MaxMessageBytes {
				errs = append(errs, fmt.Errorf("topic %s: max.message.bytes=%d is below the %d bytes a stored event may need; raise it", real, n, b.cfg.MaxMessageBytes))
			}
		case "min.insync.replicas":
			if n, err := strconv.Atoi(e.Value); err == nil && n < 2 && b.cfg.Replication >= 3 {
				bad(e.Name, e.Value, "it to 2")
			}
		}
	}
	return errors.Join(errs...)
}

// awaitTopics waits until the cluster's metadata shows the topics, and until
// the leaders of those just created know that they are: for a moment after the
// creation they refuse what is asked of them.
func (b *Broker) awaitTopics(ctx context.Context, topics []infra.Topic, created []string) error {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = b.topic(t.Name)
	}
	for {
		err := b.client.RefreshMetadata(names...)
		if err == nil {
			err = b.serve(created)
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// serve asks the leader of every partition for its end.
func (b *Broker) serve(topics []string) error {
	for _, real := range topics {
		partitions, err := b.client.Partitions(real)
		if err != nil {
			return err
		}
		for _, p := range partitions {
			if _, err := b.client.GetOffset(real, p, sarama.OffsetNewest); err != nil {
				return fmt.Errorf("topic %s, partition %d: %w", real, p, err)
			}
		}
	}
	return nil
}
