package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
)

// commits writes the progress of groups. A group has one request at a time, and the next
// one takes everything that came meanwhile. The groups have no members on the cluster, so
// only the owner's clock decides who may commit (lease.go).
type commits struct {
	log *Log

	mu      sync.Mutex
	groups  map[string]*groupCommits // by real name
	working sync.WaitGroup
	closed  bool
}

// groupCommits are the waiting commits of a group; commits.mu.
type groupCommits struct {
	pending     map[topicPartition]*entry
	busy        bool          // a goroutine works on it
	next        time.Time     // not before this
	minInterval time.Duration // between two
}

// entry is a commit of one partition.
type entry struct {
	topic   string // logical
	what    commit
	checked bool // false: it must be the owner's, whose mark it gets
	waiting []*waiter
}

// waiter is a call that waits for entries.
type waiter struct {
	remaining int
	err       error
	done      chan struct{}
}

// The time of a commit sets the time between two: a busy cluster gets fewer and larger
// ones. maxCommitInterval bounds the repeats after a kill.
const (
	commitIntervalFactor = 4
	maxCommitInterval    = 100 * time.Millisecond
)

func (c *commits) init(l *Log) { c.log, c.groups = l, map[string]*groupCommits{} }

// close waits for running requests. The client is closed.
func (c *commits) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.working.Wait()
}

// Keep implements infra.LogGroups. It returns when the cluster has it.
func (l *Log) Keep(ctx context.Context, all ...infra.Progressed) error {
	if l.ctx.Err() != nil {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil || len(all) == 0 {
		return err
	}
	w := &waiter{done: make(chan struct{})}
	byGroup := map[string]map[topicPartition]*entry{}
	for _, p := range all {
		if _, _, err := l.members.recordProgress(p, time.Now()); err != nil {
			return err
		}
		g := l.cfg.Group(p.Group)
		if byGroup[g] == nil {
			byGroup[g] = map[topicPartition]*entry{}
		}
		byGroup[g][topicPartition{l.cfg.Topic(p.Topic), p.Partition}] = &entry{topic: p.Topic, what: commit{position: p.Position, kept: true}}
	}
	return l.commits.put(ctx, byGroup, w)
}

// put commits entries by group and waits for them.
func (c *commits) put(ctx context.Context, byGroup map[string]map[topicPartition]*entry, w *waiter) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	for group, entries := range byGroup {
		g := c.groups[group]
		if g == nil {
			g = &groupCommits{pending: map[topicPartition]*entry{}, minInterval: c.log.cfg.CommitInterval}
			c.groups[group] = g
		}
		for at, e := range entries {
			w.remaining++
			if before := g.pending[at]; before != nil {
				e.waiting = before.waiting
			}
			e.waiting = append(e.waiting, w)
			g.pending[at] = e
		}
		if !g.busy {
			g.busy = true
			c.working.Go(func() { c.work(group, g) })
		}
	}
	c.mu.Unlock()
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		c.withdraw(byGroup)
		return ctx.Err()
	}
}

// withdraw removes entries that nobody waits for and that are not being sent. Another owner
// may have kept more by the time they would be sent.
func (c *commits) withdraw(byGroup map[string]map[topicPartition]*entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for group, entries := range byGroup {
		pending := c.groups[group].pending
		for at, e := range entries {
			if pending[at] == e && len(e.waiting) == 1 {
				delete(pending, at)
			}
		}
	}
}

// work commits until there is nothing more.
func (c *commits) work(group string, g *groupCommits) {
	for {
		c.mu.Lock()
		wait := time.Until(g.next)
		c.mu.Unlock()
		if wait > 0 {
			_ = pause(c.log.ctx, wait)
		}
		c.mu.Lock()
		if len(g.pending) == 0 {
			g.busy = false
			c.mu.Unlock()
			return
		}
		entries := g.pending
		g.pending = map[topicPartition]*entry{}
		c.mu.Unlock()
		began := time.Now()
		errs := c.commit(group, entries)
		took := time.Since(began)
		c.mu.Lock()
		g.next = began.Add(max(g.minInterval, min(commitIntervalFactor*took, maxCommitInterval)))
		for at, e := range entries {
			for _, w := range e.waiting {
				w.err = errors.Join(w.err, errs[at])
				if w.remaining--; w.remaining == 0 {
					close(w.done)
				}
			}
		}
		c.mu.Unlock()
	}
}

// commit sends entries, and returns an error for each that is not stored. The client tries
// as long as an answer may take, but no longer than the lease.
func (c *commits) commit(group string, entries map[topicPartition]*entry) map[topicPartition]error {
	errs := map[topicPartition]error{}
	until := time.Now().Add(answerTimeout)
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = group, -1
	byTopic := map[string]int{}
	for at, e := range entries {
		what := e.what
		if !e.checked {
			owner, holds, err := c.log.members.recordProgress(infra.Progressed{Group: group[len(c.log.cfg.TopicPrefix):], Topic: e.topic, Partition: at.partition, Position: what.position}, time.Now())
			if err != nil {
				errs[at] = err
				continue
			}
			if what.owner = owner; owner != "" && holds.Before(until) {
				until = holds
			}
		}
		n, known := byTopic[at.topic]
		if !known {
			n = len(req.Topics)
			byTopic[at.topic] = n
			t := kmsg.NewOffsetCommitRequestTopic()
			t.Topic = at.topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Metadata = at.partition, what.position.Next, kmsg.StringPtr(what.metadata())
		req.Topics[n].Partitions = append(req.Topics[n].Partitions, p)
	}
	if len(req.Topics) == 0 {
		return errs
	}
	ctx, cancel := context.WithDeadline(c.log.ctx, until)
	defer cancel()
	resp, err := req.RequestWith(ctx, c.log.client)
	stored := map[topicPartition]bool{}
	for i := 0; err == nil && i < len(resp.Topics); i++ {
		for _, p := range resp.Topics[i].Partitions {
			at := topicPartition{resp.Topics[i].Topic, p.Partition}
			stored[at] = true
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				errs[at] = fmt.Errorf("commit of group %s in %s/%d: %w", group, at.topic, at.partition, err)
			}
		}
	}
	if err == nil {
		err = errors.New("the answer does not name it")
	}
	for at := range entries {
		if errs[at] == nil && !stored[at] {
			errs[at] = fmt.Errorf("commit of group %s in %s/%d: %w", group, at.topic, at.partition, err)
		}
	}
	return errs
}

// foreignMembers reports whether a commit was refused because the group has members
// on the cluster.
func foreignMembers(err error) bool {
	return errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.IllegalGeneration)
}
