package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"eventserver/infra"
)

// openings reads where claims begin, and marks the partitions as owned. Claims that come
// together share the requests.
type openings struct {
	log *Log

	mu      sync.Mutex
	waiting []*opening
	busy    bool
}

type opening struct {
	claim  *claim
	at     commit
	err    error
	answer chan struct{}
}

const openPause = 250 * time.Millisecond

// open returns where a claim begins, after the mark is on the cluster. false: the claim has
// ended before. It waits for a group that has members on the cluster: they are of an older
// version, or of a killed process.
func (o *openings) open(c *claim) (at commit, marked bool) {
	logged := false
	for c.Context.Err() == nil {
		one := o.ask(c)
		select {
		case <-c.Context.Done(): // its mark may be on the way
			late := time.NewTimer(answerTimeout)
			defer late.Stop()
			select {
			case <-late.C:
				return at, false
			case <-one.answer:
			}
		case <-one.answer:
		}
		if one.err == nil {
			return one.at, one.at.owner == c.mark
		}
		if foreignMembers(one.err) {
			o.log.evict(c.Context, c.Group)
		}
		if !logged {
			logged = true
			o.log.cfg.Logger.Warn("a partition cannot be taken up; trying again", slog.String("group", c.Group), slog.String("topic", c.Topic),
				slog.Int("partition", int(c.Partition)), slog.Any("error", one.err))
		}
		_ = pause(c.Context, openPause)
	}
	return at, false
}

func (o *openings) ask(c *claim) *opening {
	one := &opening{claim: c, answer: make(chan struct{})}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = append(o.waiting, one)
	if !o.busy {
		o.busy = true
		go o.work()
	}
	return one
}

func (o *openings) work() {
	for {
		o.mu.Lock()
		all := o.waiting
		o.waiting = nil
		if len(all) == 0 {
			o.busy = false
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()
		o.round(all)
	}
}

// round reads all commits in one request, and marks them in one request per group.
func (o *openings) round(all []*opening) {
	ctx, cancel := context.WithTimeout(o.log.ctx, 2*retryTimeout)
	defer cancel()
	groups := map[string]struct{}{}
	for _, one := range all {
		groups[o.log.cfg.Group(one.claim.Group)] = struct{}{}
	}
	have := o.log.fetchCommits(ctx, keysOf(groups)...)
	missing := map[string]*topicInfo{} // topics of which a group has no commit
	for _, one := range all {
		real := o.log.cfg.Topic(one.claim.Topic)
		of := have[o.log.cfg.Group(one.claim.Group)]
		one.err = of.err
		at, known := of.at[topicPartition{real, one.claim.Partition}]
		one.at = at
		if one.err == nil && (!known || !at.kept) {
			one.at.kept = false
			if missing[real], one.err = o.log.topics.get(ctx, real); one.err != nil {
				delete(missing, real)
			}
		}
	}
	oldest := o.log.listOffsets(ctx, missing, offsetOldest)
	for real, one := range oldest {
		if leaderChanged(one.err) {
			o.log.topics.forget(real)
		}
	}
	o.refuseOtherOwners(ctx, all)
	var marking sync.WaitGroup
	byGroup := map[string][]*opening{}
	for _, one := range all {
		if !one.at.kept && one.err == nil {
			of := oldest[o.log.cfg.Topic(one.claim.Topic)]
			one.err = of.err
			one.at.position = infra.Position{Next: of.partitions[one.claim.Partition]}
		}
		byGroup[one.claim.Group] = append(byGroup[one.claim.Group], one)
	}
	for _, of := range byGroup {
		marking.Go(func() { o.mark(ctx, of) })
	}
	marking.Wait()
	for _, one := range all {
		close(one.answer)
	}
}

// refuseOtherOwners refuses partitions of a living owner in another group of owners: two programs
// must not work on one destination.
func (o *openings) refuseOtherOwners(ctx context.Context, all []*opening) {
	marked := false
	for _, one := range all {
		marked = marked || one.at.owner != ""
	}
	if !marked {
		return
	}
	others, err := o.log.otherOwners(ctx)
	hosts := map[string]string{}
	for _, d := range others {
		hosts[markOf(d.MemberID)] = d.ClientHost
	}
	for _, one := range all {
		if one.at.owner == "" || one.err != nil {
			continue
		}
		if host, has := hosts[one.at.owner]; has {
			one.err = fmt.Errorf("a process on %s with another broker.owners works on it", host)
		} else {
			one.err = err
		}
	}
}

// mark commits the owner of a group's partitions.
func (o *openings) mark(ctx context.Context, all []*opening) {
	var entries map[string]map[topicPartition]*entry
	for _, one := range all {
		if one.err != nil || one.claim.Context.Err() != nil {
			continue
		}
		one.at.owner = one.claim.mark
		entries = o.log.addCommit(entries, one.claim, one.at)
	}
	if len(entries) == 0 {
		return
	}
	err := o.log.commits.put(ctx, entries, &waiter{done: make(chan struct{})})
	for _, one := range all {
		if one.err == nil {
			one.err = err
		}
	}
}

// evict removes members of an older version of this process from a group. That version was
// stopped, and keeps its place until its session ends.
func (l *Log) evict(ctx context.Context, group string) {
	if l.cfg.InstanceID == "" {
		return
	}
	g := l.cfg.Group(group)
	described, err := l.admin.DescribeGroups(ctx, g)
	if err != nil {
		return
	}
	var old []string
	for _, m := range described[g].Members {
		if m.InstanceID != nil && strings.HasPrefix(*m.InstanceID+".", l.cfg.InstanceID+"."+g+".") {
			old = append(old, *m.InstanceID)
		}
	}
	if len(old) == 0 {
		return
	}
	if err := l.leave(g, "", old...); err != nil {
		l.cfg.Logger.Debug("an older member stays in its group", slog.String("group", group), slog.Any("error", err))
	}
}

const (
	refreshEvery = time.Hour
	// refreshAge is the maximum age of a commit. A cluster deletes commits of groups without
	// members after offsets.retention.minutes, 7 days by default.
	refreshAge = 12 * time.Hour
)

// refresh repeats old commits.
func (m *members) refresh(ctx context.Context) {
	var entries map[string]map[topicPartition]*entry
	m.mu.Lock()
	for _, c := range m.claims {
		if !c.marked || c.Context.Err() != nil || time.Since(c.at) < refreshAge {
			continue
		}
		what := c.last
		what.owner, c.at = c.mark, time.Now()
		entries = m.log.addCommit(entries, c, what)
	}
	m.mu.Unlock()
	if len(entries) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, retryTimeout)
	defer cancel()
	if err := m.log.commits.put(ctx, entries, &waiter{done: make(chan struct{})}); err != nil && !errors.Is(err, context.Canceled) {
		m.log.cfg.Logger.Warn("old progress was not written again", slog.Any("error", fmt.Errorf("%w; trying again in %v", err, refreshAge)))
	}
}

func keysOf[K comparable, V any](m map[K]V) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}
