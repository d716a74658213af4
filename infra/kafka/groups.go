package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"eventserver/infra"
)

// fetchedCommits are the commits of a group, by real names.
type fetchedCommits struct {
	at  map[topicPartition]commit
	err error
}

// fetchCommits reads the commits of groups, in one request per coordinator.
func (l *Log) fetchCommits(ctx context.Context, groups ...string) map[string]fetchedCommits {
	out := make(map[string]fetchedCommits, len(groups))
	for g, resp := range l.admin.FetchManyOffsets(ctx, groups...) {
		of := fetchedCommits{at: map[topicPartition]commit{}, err: resp.Err}
		if errors.Is(of.err, kerr.GroupIDNotFound) {
			of.err = nil
		}
		resp.Fetched.Each(func(r kadm.OffsetResponse) {
			switch {
			case r.Err != nil && !topicMissing(r.Err):
				of.err = errors.Join(of.err, r.Err)
			case r.Err == nil && r.At >= 0:
				of.at[topicPartition{r.Topic, r.Partition}] = readCommit(r.At, r.Metadata)
			}
		})
		out[g] = of
	}
	for _, g := range groups {
		if _, answered := out[g]; !answered {
			out[g] = fetchedCommits{err: fmt.Errorf("group %s: no answer", g)}
		}
	}
	return out
}

// Kept implements infra.LogGroups.
func (l *Log) Kept(ctx context.Context, topic string, groups ...string) (map[string]map[int32]infra.Position, error) {
	if err := l.usable(ctx); err != nil {
		return nil, err
	}
	real := l.cfg.Topic(topic)
	if _, err := l.topics.get(ctx, real); err != nil {
		return nil, err
	}
	reals := make([]string, len(groups))
	for i, g := range groups {
		reals[i] = l.cfg.Group(g)
	}
	if len(groups) == 0 {
		all, err := l.admin.ListGroups(ctx)
		if err != nil {
			return nil, err
		}
		for _, g := range all.Groups() {
			if strings.HasPrefix(g, l.cfg.TopicPrefix) && !strings.HasPrefix(g, l.cfg.TopicPrefix+ownersPrefix) {
				reals = append(reals, g)
			}
		}
	}
	out := map[string]map[int32]infra.Position{}
	for g, of := range l.fetchCommits(ctx, reals...) {
		if of.err != nil {
			return nil, fmt.Errorf("progress of group %s: %w", g, of.err)
		}
		for at, c := range of.at {
			if at.topic != real || !c.kept {
				continue
			}
			name := g[len(l.cfg.TopicPrefix):]
			if out[name] == nil {
				out[name] = map[int32]infra.Position{}
			}
			out[name][at.partition] = c.position
		}
	}
	return out, nil
}

// Members implements infra.LogGroups. They are the members of this process, living owners
// with marks on the group's partitions, and members of the group on the cluster.
func (l *Log) Members(ctx context.Context, group string) ([]infra.Member, error) {
	if err := l.usable(ctx); err != nil {
		return nil, err
	}
	g := l.cfg.Group(group)
	described, err := l.admin.DescribeGroups(ctx, g, l.cfg.owners())
	if err != nil {
		return nil, err
	}
	for _, d := range described {
		if d.Err != nil && !errors.Is(d.Err, kerr.GroupIDNotFound) {
			return nil, fmt.Errorf("describe group %s: %w", d.Group, d.Err)
		}
	}
	of := l.fetchCommits(ctx, g)[g]
	if of.err != nil {
		return nil, fmt.Errorf("progress of group %s: %w", g, of.err)
	}
	out := l.members.ownMembers(group)
	own := l.members.ownMark()
	have := map[string]map[string][]int32{} // by mark and topic
	for at, c := range of.at {
		if c.owner == "" || c.owner == own {
			continue
		}
		if have[c.owner] == nil {
			have[c.owner] = map[string][]int32{}
		}
		topic := l.cfg.Logical(at.topic)
		have[c.owner][topic] = append(have[c.owner][topic], at.partition)
	}
	living := described[l.cfg.owners()].Members
	if len(have) > 0 {
		others, err := l.otherOwners(ctx)
		if err != nil {
			return nil, err
		}
		living = append(living, others...)
	}
	for _, d := range living {
		if parts := have[markOf(d.MemberID)]; len(parts) > 0 {
			one := describedMember(d)
			one.Partitions = parts
			out = append(out, one)
		}
	}
	for _, d := range described[g].Members {
		one := describedMember(d)
		if given, ok := d.Assigned.AsConsumer(); ok {
			for _, t := range given.Topics {
				one.Partitions[l.cfg.Logical(t.Topic)] = t.Partitions
			}
		}
		out = append(out, one)
	}
	return out, nil
}

// otherOwners are the members of other groups of owners, of programs with other
// destinations.
func (l *Log) otherOwners(ctx context.Context) (out []kadm.DescribedGroupMember, err error) {
	all, err := l.admin.ListGroups(ctx)
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, g := range all.Groups() {
		if strings.HasPrefix(g, l.cfg.TopicPrefix+ownersPrefix) && g != l.cfg.owners() {
			groups = append(groups, g)
		}
	}
	if len(groups) == 0 {
		return nil, nil
	}
	described, err := l.admin.DescribeGroups(ctx, groups...)
	for _, d := range described {
		out = append(out, d.Members...)
	}
	return out, err
}

func describedMember(d kadm.DescribedGroupMember) infra.Member {
	one := infra.Member{Client: d.ClientID, Host: d.ClientHost, Partitions: map[string][]int32{}}
	if d.InstanceID != nil {
		one.Instance = *d.InstanceID
	}
	return one
}

// ownMark is the mark of this process, "" while it owns nothing.
func (m *members) ownMark() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lease.mark
}

// ownMembers are this process's members of a group.
func (m *members) ownMembers(group string) []infra.Member {
	host, _ := os.Hostname() // its error leaves the name out
	return m.shares.Members(group, infra.Member{Client: m.log.cfg.ClientID, Instance: m.log.cfg.InstanceID, Host: host})
}

// busy returns an error for a group with members.
func (l *Log) busy(ctx context.Context, groups ...string) error {
	for _, g := range groups {
		members, err := l.Members(ctx, g)
		if err != nil {
			return err
		}
		if len(members) > 0 {
			return fmt.Errorf("group %s: %w (%d)", l.cfg.Group(g), infra.ErrGroupBusy, len(members))
		}
	}
	return nil
}

// Reset implements infra.LogGroups.
func (l *Log) Reset(ctx context.Context, group, topic string, to map[int32]int64) error {
	if err := l.usable(ctx); err != nil {
		return err
	}
	defer l.members.shares.Freeze(group)()
	if err := l.busy(ctx, group); err != nil {
		return err
	}
	if len(to) == 0 {
		return nil
	}
	entries := map[topicPartition]*entry{}
	for p, at := range to {
		entries[topicPartition{l.cfg.Topic(topic), p}] = &entry{topic: topic, what: commit{position: infra.Position{Next: at}, kept: true}, checked: true}
	}
	err := l.commits.put(ctx, map[string]map[topicPartition]*entry{l.cfg.Group(group): entries}, &waiter{done: make(chan struct{})})
	if foreignMembers(err) {
		return fmt.Errorf("reset %s: %w: %w", l.cfg.Group(group), infra.ErrGroupBusy, err)
	}
	return err
}

// DeleteGroups implements infra.LogGroups.
func (l *Log) DeleteGroups(ctx context.Context, groups ...string) error {
	if err := l.usable(ctx); err != nil || len(groups) == 0 {
		return err
	}
	defer l.members.shares.Freeze(groups...)()
	if err := l.busy(ctx, groups...); err != nil {
		return err
	}
	reals := make([]string, len(groups))
	for i, g := range groups {
		reals[i] = l.cfg.Group(g)
	}
	resp, err := l.admin.DeleteGroups(ctx, reals...)
	if err != nil {
		return fmt.Errorf("delete groups: %w", err)
	}
	var errs []error
	for _, r := range resp {
		switch {
		case r.Err == nil, errors.Is(r.Err, kerr.GroupIDNotFound):
		case errors.Is(r.Err, kerr.NonEmptyGroup):
			errs = append(errs, fmt.Errorf("delete group %s: %w", r.Group, infra.ErrGroupBusy))
		default:
			errs = append(errs, fmt.Errorf("delete group %s: %w", r.Group, r.Err))
		}
	}
	return errors.Join(errs...)
}

// Leave implements infra.LogGroups. A closed membership keeps no place, except one of an
// older version of this process.
func (l *Log) Leave(ctx context.Context, group string) error {
	if err := l.usable(ctx); err != nil {
		return err
	}
	l.evict(ctx, group)
	return nil
}
