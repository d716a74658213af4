package local

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"eventserver/infra"
)

// members shares the partitions of topics among the members of groups. All are in
// this process, so a partition moves when its owner has returned, and nobody is
// ever thrown out.
type members struct {
	log *Log

	mu     sync.Mutex
	shares map[shareKey]*share
	frozen map[string]int // groups that are changed: nobody is given a partition
	closed bool
}

type shareKey struct{ group, topic string }

// share is a group on one topic; members.mu.
type share struct {
	topic   *topic
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
	member   *member
	cancel   context.CancelFunc
	released bool // its context has ended
}

func (m *members) init(l *Log) {
	m.log = l
	m.shares = map[shareKey]*share{}
	m.frozen = map[string]int{}
}

// Join implements infra.LogGroups.
func (l *Log) Join(ctx context.Context, group, topic string, own func(infra.Claim)) (infra.Membership, error) {
	if err := l.writable(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkGroup(group); err != nil {
		return nil, err
	}
	t, err := l.topic(topic)
	if err != nil {
		return nil, err
	}
	return l.members.join(group, t, own)
}

func (m *members) join(group string, t *topic, own func(infra.Claim)) (*member, error) {
	key := shareKey{group, t.name}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	s := m.shares[key]
	if s == nil {
		s = &share{topic: t, owners: make([]*claim, len(t.parts))}
		m.shares[key] = s
	}
	one := &member{all: m, key: key, share: s, own: own}
	s.members = append(s.members, one)
	m.assign(key, s)
	return one, nil
}

// assign makes the shares even: a partition that is too many for its owner is asked
// back, and a free one is given to who has too few. m.mu is held.
func (m *members) assign(key shareKey, s *share) {
	if m.frozen[key.group] > 0 {
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
	for _, c := range s.owners {
		if c != nil && !c.released {
			has[c.member]++
		}
	}
	if len(active) == 0 {
		return
	}
	// Who has most keeps one more where it does not come out even.
	slices.SortStableFunc(active, func(a, b *member) int { return cmp.Compare(has[b], has[a]) })
	quota := map[*member]int{}
	for i, one := range active {
		quota[one] = len(s.owners) / len(active)
		if i < len(s.owners)%len(active) {
			quota[one]++
		}
	}
	for n := len(s.owners) - 1; n >= 0; n-- {
		if c := s.owners[n]; c != nil && !c.released && has[c.member] > quota[c.member] {
			has[c.member]--
			c.release()
		}
	}
	for n, c := range s.owners {
		if c != nil {
			continue
		}
		for _, one := range active {
			if has[one] < quota[one] {
				has[one]++
				m.give(s, one, n)
				break
			}
		}
	}
}

// give starts the owner of a partition; m.mu is held.
func (m *members) give(s *share, one *member, n int) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &claim{member: one, cancel: cancel}
	s.owners[n] = c
	p := s.topic.parts[n]
	one.owns.Add(1)
	go func() {
		claim := infra.Claim{Context: ctx, Topic: s.topic.name, Partition: p.n, Position: m.log.groups.position(p, one.key.group)}
		claim.Give(one.own, func() {
			cancel()
			m.returned(one.key, s, n)
			one.owns.Done()
		})
	}()
}

func (c *claim) release() {
	c.released = true
	c.cancel()
}

// returned takes a partition back.
func (m *members) returned(key shareKey, s *share, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.owners[n] = nil
	m.assign(key, s)
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
			c.release()
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

// close ends every membership and lets nobody join.
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
}

// freeze keeps groups without members as they are until thaw is called.
func (m *members) freeze(groups ...string) (thaw func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, s := range m.shares {
		if slices.Contains(groups, key.group) && len(s.members) > 0 {
			return nil, fmt.Errorf("local: group %s: %w", key.group, infra.ErrGroupBusy)
		}
	}
	for _, g := range groups {
		m.frozen[g]++
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, g := range groups {
			if m.frozen[g]--; m.frozen[g] == 0 {
				delete(m.frozen, g)
			}
		}
		for key, s := range m.shares {
			if slices.Contains(groups, key.group) {
				m.assign(key, s)
			}
		}
	}, nil
}

// Members implements infra.LogGroups.
func (l *Log) Members(ctx context.Context, group string) ([]infra.Member, error) {
	if err := l.readable(ctx); err != nil {
		return nil, err
	}
	m := &l.members
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []infra.Member
	for key, s := range m.shares {
		if key.group != group {
			continue
		}
		for _, one := range s.members {
			var parts []int32
			for n, c := range s.owners {
				if c != nil && c.member == one {
					parts = append(parts, int32(n))
				}
			}
			list = append(list, infra.Member{Client: "eventserver", Host: "local", Partitions: map[string][]int32{key.topic: parts}})
		}
	}
	return list, nil
}

// Leave implements infra.LogGroups: a closed membership keeps no place here.
func (*Log) Leave(context.Context, string) error { return nil }
