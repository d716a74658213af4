package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"eventserver/infra"
)

// check refuses settings of existing topics that break durability.
func (l *Log) check(ctx context.Context, topics []infra.Topic, known map[string]*topicInfo) error {
	if len(topics) == 0 {
		return nil
	}
	keep := map[string]bool{}
	reals := make([]string, len(topics))
	for i, t := range topics {
		reals[i] = l.cfg.Topic(t.Name)
		keep[reals[i]] = t.Keep
	}
	configs, err := l.admin.DescribeTopicConfigs(ctx, reals...)
	if err != nil {
		return fmt.Errorf("describe topics: %w", err)
	}
	var errs []error
	for _, c := range configs {
		if c.Err != nil {
			errs = append(errs, fmt.Errorf("describe topic %s: %w", c.Name, c.Err))
			continue
		}
		errs = append(errs, l.checkCopies(known[c.Name]))
		for _, e := range c.Configs {
			if e.Value != nil {
				errs = append(errs, l.checkSetting(c.Name, keep[c.Name], e.Key, *e.Value))
			}
		}
	}
	return errors.Join(errs...)
}

func (l *Log) checkCopies(t *topicInfo) error {
	if n := len(t.leaders); n != int(l.cfg.Partitions) {
		l.cfg.Logger.Warn("topic exists with another number of partitions; it is used as it is", slog.String("topic", t.real),
			slog.Int("partitions", n), slog.Int("configured", int(l.cfg.Partitions)))
	}
	if t.copies < int(l.cfg.Replication) {
		return fmt.Errorf("topic %s: a partition has %d copies, fewer than broker.replication %d; reassign it, or lower the setting", t.real, t.copies, l.cfg.Replication)
	}
	return nil
}

func (l *Log) checkSetting(real string, keep bool, name, value string) error {
	bad := func(cure string) error {
		return fmt.Errorf("topic %s: %s=%s loses events; set %s", real, name, value, cure)
	}
	n, notNumber := strconv.ParseInt(value, 10, 64)
	switch {
	case name == "cleanup.policy" && strings.Contains(value, "compact"):
		return bad("cleanup.policy=delete")
	case name == "unclean.leader.election.enable" && value == "true":
		return bad("it to false")
	case notNumber != nil:
	case name == "retention.ms" && n >= 0:
		return l.checkRetention(keep, time.Duration(n)*time.Millisecond, bad)
	case name == "retention.bytes" && n >= 0:
		return bad("it to -1")
	case name == "max.message.bytes" && n < int64(l.cfg.MaxMessageBytes):
		return fmt.Errorf("topic %s: max.message.bytes=%d is below the %d bytes a stored event may need; raise it", real, n, l.cfg.MaxMessageBytes)
	case name == "min.insync.replicas" && n < 2 && l.cfg.Replication >= 3:
		return bad("it to 2")
	}
	return nil
}

func (l *Log) checkRetention(keep bool, has time.Duration, bad func(string) error) error {
	switch want := l.cfg.Retention; {
	case keep:
		return bad("it to -1, poisoned events are kept until somebody redrives them")
	case want <= 0:
		return bad("it to -1, or broker.retention to what it is meant to be")
	case has < want:
		return bad(fmt.Sprintf("it to %d or more, or broker.retention to less than %v", want.Milliseconds(), want))
	}
	return nil
}
