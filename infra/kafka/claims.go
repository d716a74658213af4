package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"eventserver/infra"
	"eventserver/infra/shares"
)

// members shares the partitions that this process owns among its members of groups,
// usually one per destination. Which partitions are owned is decided once for all groups,
// by shard (owner.go).
type members struct {
	log *Log

	starting sync.Mutex // held while the owner starts
	openings openings
	shares   *shares.Shares

	mu       sync.Mutex
	claims   map[place]*claim // that are being taken up, or not given up yet
	shards   int32            // how many there are; 0: not known yet
	owned    map[int32]bool   // of them
	lease    lease
	assigned bool // the cluster has assigned shards at least once
	owner    *owner
	closed   bool
}

// place is a group and a partition.
type place struct {
	group, topic string
	partition    int32
}

// claim is the ownership of a partition by a member.
type claim struct {
	*shares.Claim

	mark string // of this process

	// members.mu
	marked bool      // the cluster has the mark
	last   commit    // as of the last Keep
	at     time.Time // of that
}

func (m *members) init(l *Log) {
	m.log = l
	m.shares = shares.New(shares.Config{TakeUp: m.takeUp, GiveUp: m.giveUp})
	m.claims, m.owned = map[place]*claim{}, map[int32]bool{}
	m.openings.log = l
}

// Join implements infra.LogGroups.
func (l *Log) Join(ctx context.Context, group, topic string, own func(infra.Claim)) (infra.Membership, error) {
	if err := l.usable(ctx); err != nil {
		return nil, err
	}
	info, err := l.topics.get(ctx, l.cfg.Topic(topic))
	if err != nil {
		return nil, err
	}
	if err := l.members.start(ctx); err != nil {
		return nil, err
	}
	if one := l.members.shares.Join(group, topic, len(info.leaders), own); one != nil {
		return one, nil
	}
	return nil, ErrClosed
}

// share divides the partitions that this process owns now. Claims of other partitions end,
// and are returned. cause is infra.ErrLost when another process may have them already.
// m.mu is held.
func (m *members) share(cause error) []*shares.Claim {
	if !m.lease.valid || !m.assigned {
		return m.shares.Own(nil, cause)
	}
	owned, shards := maps.Clone(m.owned), m.shards
	return m.shares.Own(func(partition int32) bool { return owned[partition%shards] }, cause)
}

func placeOf(c *shares.Claim) place { return place{c.Group, c.Topic, c.Partition} }

// takeUp marks a partition as this process's.
func (m *members) takeUp(c *shares.Claim) (at infra.Position, taken bool) {
	m.mu.Lock()
	one := &claim{Claim: c, mark: m.lease.mark}
	m.claims[placeOf(c)] = one
	m.mu.Unlock()
	begin, marked := m.openings.open(one)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !marked {
		delete(m.claims, placeOf(c))
		return at, false
	}
	one.last, one.at, one.marked = begin, time.Now(), true
	return begin.position, true
}

// giveUp removes the mark, so that other processes know that nobody reads here.
func (m *members) giveUp(c *shares.Claim) {
	m.mu.Lock()
	one := m.claims[placeOf(c)]
	last, lost := one.last, c.Lost() || !m.lease.holds(time.Now())
	m.mu.Unlock()
	if !lost {
		m.unmark(one, last)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.claims, placeOf(c))
}

func (m *members) unmark(c *claim, last commit) {
	last.owner = ""
	// It waits for the running commit and then for its own, so that no commit of this
	// process is on its way when the partition is given up.
	ctx, cancel := context.WithTimeout(m.log.ctx, 2*answerTimeout+maxCommitInterval)
	defer cancel()
	if err := m.log.commits.put(ctx, m.log.addCommit(nil, c, last), &waiter{done: make(chan struct{})}); err != nil {
		m.log.cfg.Logger.Debug("a partition that was given up keeps its mark", slog.String("group", c.Group),
			slog.String("topic", c.Topic), slog.Int("partition", int(c.Partition)), slog.Any("error", err))
	}
}

// addCommit adds a commit that needs no further check to those of other claims.
func (l *Log) addCommit(to map[string]map[topicPartition]*entry, c *claim, what commit) map[string]map[topicPartition]*entry {
	if to == nil {
		to = map[string]map[topicPartition]*entry{}
	}
	group := l.cfg.Group(c.Group)
	if to[group] == nil {
		to[group] = map[topicPartition]*entry{}
	}
	to[group][topicPartition{l.cfg.Topic(c.Topic), c.Partition}] = &entry{topic: c.Topic, what: what, checked: true}
	return to
}

// recordProgress refuses progress of partitions that the caller does not own, and records the
// rest. It returns the mark of the owner ("" where this process has no member of the group)
// and the end of the ownership.
func (m *members) recordProgress(p infra.Progressed, now time.Time) (mark string, until time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.claims[place{p.Group, p.Topic, p.Partition}]
	if c == nil && !m.shares.Joined(p.Group, p.Topic) {
		return "", until, nil
	}
	if c == nil || c.Lost() || !m.lease.holds(now) {
		return "", until, fmt.Errorf("group %s, topic %s, partition %d: %w", p.Group, p.Topic, p.Partition, infra.ErrLost)
	}
	c.last, c.at = commit{position: p.Position, kept: true}, now
	return c.mark, m.lease.until, nil
}

// close ends every membership, and then the ownership.
func (m *members) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.shares.Close()
	m.starting.Lock()
	defer m.starting.Unlock()
	if m.owner != nil {
		m.owner.close()
	}
}
