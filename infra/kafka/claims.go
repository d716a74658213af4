package kafka

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"eventserver/infra"
)

// members shares the partitions that this process owns among the members of groups
// that there are in it: one for each destination, as a rule. Which partitions are
// owned is decided once for all groups, by shard (see owner.go).
type members struct {
	log *Log

	starting sync.Mutex // held while the owner starts
	openings openings

	mu     sync.Mutex
	shares map[shareKey]*share
	shards int32          // how many there are; 0: not known yet
	owned  map[int32]bool // of them
	lease  lease
	told   bool // which shards are owned has been said once
	owner  *owner
	frozen map[string]int // groups that are changed: nobody is given a partition
	closed bool
}

type shareKey struct{ group, topic string }

// share is a group on one topic; members.mu.
type share struct {
	members []*member // in the order they joined, those that leave too
	owners  []*claim  // by partition
}

// member is an infra.Membership.
type member struct {
	all   *members
	key   shareKey
	share *share
	own   func(infra.Claim)
	owns  sync.WaitGroup

	leaving bool // all.mu
	joined  bool // all.mu
	once    sync.Once
}

// claim is a partition in the hands of a member; members.mu.
type claim struct {
	member    *member
	partition int32
	ctx       context.Context
	cancel    context.CancelCauseFunc
	released  bool // its context has ended
	lost      bool // another process may own it
	given     bool // its own function runs
	mark      string
	last      committed // as of the last Keep
	at        time.Time // of that
	done      chan struct{}
}

func (m *members) init(l *Log) {
	m.log = l
	m.shares, m.owned, m.frozen = map[shareKey]*share{}, map[int32]bool{}, map[string]int{}
	m.openings.log = l
}

// Join implements infra.LogGroups.
func (l *Log) Join(ctx context.Context, group, topic string, own func(infra.Claim)) (infra.Membership, error) {
	if err := l.usable(ctx); err != nil {
		return nil, err
	}
	info, err := l.topics.of(ctx, l.cfg.Topic(topic))
	if err != nil {
		return nil, err
	}
	if err := l.members.start(ctx); err != nil {
		return nil, err
	}
	return l.members.join(group, topic, len(info.leaders), own)
}

func (m *members) join(group, topic string, partitions int, own func(infra.Claim)) (*member, error) {
	key := shareKey{group, topic}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	s := m.shares[key]
	if s == nil {
		s = &share{owners: make([]*claim, partitions)}
		m.shares[key] = s
	}
	one := &member{all: m, key: key, share: s, own: own}
	s.members = append(s.members, one)
	m.assign(key, s)
	return one, nil
}

// ours reports whether this process owns a partition; m.mu is held.
func (m *members) ours(partition int) bool { return m.owned[int32(partition)%m.shards] }

// assign makes the shares even: a partition that is too many for its owner is asked
// back, and a free one is given to who has too few. m.mu is held.
func (m *members) assign(key shareKey, s *share) {
	if m.frozen[key.group] > 0 || !m.lease.valid || !m.told {
		return
	}
	has := map[*member]int{}
	var active []*member
	for _, one := range s.members {
		one.joined = true
		if !one.leaving {
			active = append(active, one)
		}
	}
	if len(active) == 0 {
		return
	}
	total := 0
	for n, c := range s.owners {
		if m.ours(n) {
			total++
		}
		if c != nil && !c.released {
			has[c.member]++
		}
	}
	// Who has most keeps one more where it does not come out even.
	slices.SortStableFunc(active, func(a, b *member) int { return cmp.Compare(has[b], has[a]) })
	quota := map[*member]int{}
	for i, one := range active {
		quota[one] = total / len(active)
		if i < total%len(active) {
			quota[one]++
		}
	}
	for n := len(s.owners) - 1; n >= 0; n-- {
		if c := s.owners[n]; c != nil && !c.released && has[c.member] > quota[c.member] {
			has[c.member]--
			c.release(nil)
		}
	}
	for n, c := range s.owners {
		if c != nil || !m.ours(n) {
			continue
		}
		for _, one := range active {
			if has[one] < quota[one] {
				has[one]++
				m.give(s, one, int32(n))
				break
			}
		}
	}
}

func (m *members) assignAll() {
	for key, s := range m.shares {
		m.assign(key, s)
	}
}

// give starts the owner of a partition; m.mu is held.
func (m *members) give(s *share, one *member, n int32) {
	c := &claim{member: one, partition: n, mark: m.lease.mark, done: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	s.owners[n] = c
	one.owns.Add(1)
	go func() {
		end := func() {
			m.returned(one.key, s, c)
			one.owns.Done()
		}
		at, marked := m.openings.open(c)
		if !marked {
			end()
			return
		}
		giveUp := func() {
			m.giveUp(c)
			end()
		}
		m.mu.Lock()
		c.last, c.at, c.given = at, time.Now(), c.ctx.Err() == nil
		given := c.given
		m.mu.Unlock()
		if !given {
			giveUp()
			return
		}
		infra.Claim{Context: c.ctx, Topic: one.key.topic, Partition: n, Position: at.position}.Give(one.own, giveUp)
	}()
}

// release ends a claim; because of infra.ErrLost when another process may have the
// partition already. members.mu is held.
func (c *claim) release(cause error) {
	c.released = true
	c.lost = c.lost || cause != nil
	c.cancel(cause)
}

// giveUp takes the mark off, so that other processes know that nobody reads here.
func (m *members) giveUp(c *claim) {
	m.mu.Lock()
	last, lost := c.last, c.lost || !m.lease.holds(time.Now())
	m.mu.Unlock()
	if lost {
		return
	}
	last.owner = ""
	ctx, cancel := context.WithTimeout(m.log.life, answerTimeout)
	defer cancel()
	if err := m.log.commits.put(ctx, m.log.entryOf(c, last), &waiter{done: make(chan struct{})}); err != nil {
		m.log.cfg.Logger.Debug("a partition that was given up keeps its mark", slog.String("group", c.member.key.group),
			slog.String("topic", c.member.key.topic), slog.Int("partition", int(c.partition)), slog.Any("error", err))
	}
}

// entryOf is a commit of a claim's that needs no more leave.
func (l *Log) entryOf(c *claim, what committed) map[string]map[topicPartition]*entry {
	at := topicPartition{l.cfg.Topic(c.member.key.topic), c.partition}
	return map[string]map[topicPartition]*entry{l.cfg.Group(c.member.key.group): {at: {topic: c.member.key.topic, what: what, checked: true}}}
}

// returned takes a partition back.
func (m *members) returned(key shareKey, s *share, c *claim) {
	c.cancel(nil)
	m.mu.Lock()
	defer m.mu.Unlock()
	close(c.done)
	s.owners[c.partition] = nil
	m.assign(key, s)
}

// mayKeep refuses what is not the caller's to keep, and notes what is. It returns the
// mark of the owner, "" where this process has no member of the group.
func (m *members) mayKeep(p infra.Progressed, now time.Time) (mark string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.shares[shareKey{p.Group, p.Topic}]
	if s == nil {
		return "", nil
	}
	if int(p.Partition) >= len(s.owners) || p.Partition < 0 {
		return "", fmt.Errorf("topic %s has no partition %d", p.Topic, p.Partition)
	}
	c := s.owners[p.Partition]
	if c == nil || c.lost || !m.lease.holds(now) {
		return "", fmt.Errorf("group %s, topic %s, partition %d: %w", p.Group, p.Topic, p.Partition, infra.ErrLost)
	}
	c.last, c.at = committed{position: p.Position, kept: true}, now
	return c.mark, nil
}

// take ends the claims of shards that are no longer owned, and returns them; m.mu is held.
func (m *members) take(shards []int32, cause error) (out []*claim) {
	for _, p := range shards {
		delete(m.owned, p)
	}
	for _, s := range m.shares {
		for n, c := range s.owners {
			if c == nil || m.ours(n) && cause == nil {
				continue
			}
			if cause != nil && !slices.Contains(shards, int32(n)%m.shards) {
				continue
			}
			c.release(cause)
			out = append(out, c)
		}
	}
	return out
}

// Assigned implements infra.Membership.
func (one *member) Assigned() bool {
	one.all.mu.Lock()
	defer one.all.mu.Unlock()
	return one.joined
}

// Close implements infra.Membership.
func (one *member) Close() error {
	m := one.all
	m.mu.Lock()
	one.leaving = true
	for _, c := range one.share.owners {
		if c != nil && c.member == one && !c.released {
			c.release(nil)
		}
	}
	m.mu.Unlock()
	one.owns.Wait()
	one.once.Do(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		s := one.share
		s.members = slices.DeleteFunc(s.members, func(o *member) bool { return o == one })
		if len(s.members) == 0 {
			delete(m.shares, one.key)
			return
		}
		m.assign(one.key, s)
	})
	return nil
}

// close ends every membership, and then the ownership.
func (m *members) close() {
	m.mu.Lock()
	m.closed = true
	var all []*member
	for _, s := range m.shares {
		all = append(all, s.members...)
	}
	m.mu.Unlock()
	var leaving sync.WaitGroup
	for _, one := range all {
		leaving.Go(func() { _ = one.Close() })
	}
	leaving.Wait()
	m.starting.Lock()
	defer m.starting.Unlock()
	if m.owner != nil {
		m.owner.close()
	}
}
