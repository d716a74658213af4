package local

import (
	"context"
	"fmt"

	"eventserver/infra"
	"eventserver/infra/shares"
)

// newShares shares the partitions of all topics: all members are in this process.
func (l *Log) newShares() *shares.Shares {
	s := shares.New(shares.Config{TakeUp: l.takeUp})
	s.Own(shares.All, nil)
	return s
}

// takeUp returns where a claim begins. For a deleted topic that is offset 0, and reading
// returns the error.
func (l *Log) takeUp(c *shares.Claim) (at infra.Position, taken bool) {
	if p, err := l.partition(c.Topic, c.Partition); err == nil {
		at = l.groups.position(p, c.Group)
	}
	return at, true
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
	if one := l.shares.Join(group, topic, len(t.parts), own); one != nil {
		return one, nil
	}
	return nil, ErrClosed
}

// freeze keeps groups without members as they are until thaw is called.
func (l *Log) freeze(groups ...string) (thaw func(), err error) {
	thaw = l.shares.Freeze(groups...)
	for _, g := range groups {
		if len(l.members(g)) > 0 {
			thaw()
			return nil, fmt.Errorf("local: group %s: %w", g, infra.ErrGroupBusy)
		}
	}
	return thaw, nil
}

// Members implements infra.LogGroups.
func (l *Log) Members(ctx context.Context, group string) ([]infra.Member, error) {
	if err := l.readable(ctx); err != nil {
		return nil, err
	}
	return l.members(group), nil
}

func (l *Log) members(group string) []infra.Member {
	return l.shares.Members(group, infra.Member{Client: "eventserver", Host: "local"})
}

// Leave implements infra.LogGroups. A closed membership keeps no place in this log.
func (*Log) Leave(context.Context, string) error { return nil }
