package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
	"eventserver/infra/shares"
)

// owner is this process's one membership on the cluster, in the group of owners, which
// shares the shards. It fetches nothing. It begins with the first Join, so a program that
// only reads owns nothing.
type owner struct {
	members      *members
	client       *kgo.Client
	heartbeatNow chan struct{} // a heartbeat is wanted now
	quit         context.CancelFunc
	ended        chan struct{}
	closeOnce    sync.Once
}

const (
	// maxHeartbeatInterval is the maximum time between two. Other processes learn from them that a
	// process has come or gone.
	maxHeartbeatInterval = 200 * time.Millisecond
	// rebalanceTimeout is the maximum wait of a rebalance for a member that gives shards up:
	// longer than any attempt. The session timeout detects a dead member.
	rebalanceTimeout = 5 * time.Minute
	rebalanceMargin  = 10 * time.Second
)

// start joins the group of owners, once. It creates the topic of the shards if it is
// missing.
func (m *members) start(ctx context.Context) error {
	m.starting.Lock()
	defer m.starting.Unlock()
	if m.owner != nil {
		return nil
	}
	m.mu.Lock()
	closed := m.closed
	m.mu.Unlock()
	if closed {
		return ErrClosed
	}
	real := m.log.cfg.Topic(m.log.cfg.Shards)
	info, err := m.log.topics.get(ctx, real)
	if errors.Is(err, infra.ErrNoTopic) {
		if err := m.log.CreateTopics(ctx, infra.Topic{Name: m.log.cfg.Shards}); err != nil {
			return err
		}
		info, err = m.log.topics.get(ctx, real)
	}
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.shards = int32(len(info.leaders))
	m.mu.Unlock()
	runCtx, quit := context.WithCancel(m.log.ctx)
	o := &owner{members: m, heartbeatNow: make(chan struct{}, 1), quit: quit, ended: make(chan struct{})}
	if o.client, err = kgo.NewClient(o.options(real)...); err != nil {
		quit()
		return fmt.Errorf("kafka: %w", err)
	}
	m.owner = o
	go o.run(runCtx)
	return nil
}

func (o *owner) options(real string) []kgo.Opt {
	cfg := &o.members.log.cfg
	opts := append(cfg.client(ClientOwners),
		kgo.ConsumerGroup(cfg.owners()), kgo.ConsumeTopics(real), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(cfg.SessionTimeout), kgo.HeartbeatInterval(min(cfg.SessionTimeout/5, maxHeartbeatInterval)),
		kgo.RebalanceTimeout(rebalanceTimeout),
		kgo.OnPartitionsAssigned(o.assigned), kgo.OnPartitionsRevoked(o.revoked), kgo.OnPartitionsLost(o.lost),
		kgo.WithHooks(o), kgo.FetchMaxWait(answerTimeout),
	)
	if cfg.Eager {
		opts = append(opts, kgo.Balancers(kgo.StickyBalancer()))
	} else {
		opts = append(opts, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	}
	if cfg.InstanceID != "" {
		opts = append(opts, kgo.InstanceID(cfg.InstanceID))
	}
	return opts
}

// run sends its own heartbeats beside the client's, because the client does not report the
// answers to its heartbeats.
func (o *owner) run(ctx context.Context) {
	defer close(o.ended)
	tick := time.NewTicker(min(o.members.log.cfg.SessionTimeout/5, time.Second))
	defer tick.Stop()
	refresh := time.NewTicker(refreshEvery)
	defer refresh.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.heartbeatNow:
		case <-tick.C:
		case <-refresh.C:
			o.members.refresh(ctx)
		}
		if member, generation := o.client.GroupMetadata(); member != "" && generation >= 0 {
			o.sendHeartbeat(ctx, member, generation)
		}
	}
}

// sendHeartbeat extends the lease by one heartbeat. It may be under way for as long as the
// cluster is away, and arrive when the client has joined again as another member: then it is
// fenced by this process itself. So its answers say nothing of another process; those to the
// client's own heartbeats do, of which none is under way while the client joins.
func (o *owner) sendHeartbeat(ctx context.Context, member string, generation int32) {
	cfg := &o.members.log.cfg
	ctx, cancel := context.WithTimeout(ctx, cfg.SessionTimeout)
	defer cancel()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = cfg.owners(), member, generation
	if cfg.InstanceID != "" {
		req.InstanceID = &cfg.InstanceID
	}
	sent := time.Now()
	resp, err := req.RequestWith(ctx, o.client)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	switch {
	case err == nil || errors.Is(err, kerr.RebalanceInProgress):
		o.members.extend(sent, member)
	case ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded):
		cfg.Logger.Debug("a heartbeat failed", slog.Any("error", err))
	}
}

// OnGroupManageError implements kgo.HookGroupManageError.
func (o *owner) OnGroupManageError(err error) {
	if errors.Is(err, kerr.FencedInstanceID) {
		o.fenced(err)
		return
	}
	o.members.log.cfg.Logger.Warn("the group of owners: joining again", slog.Any("error", err))
}

// fenced stops a process whose place another one took. Joining again would throw that one
// out in turn, for ever.
func (o *owner) fenced(err error) {
	m := o.members
	m.mu.Lock()
	first := !m.closed && m.lease.timer != nil
	if first {
		m.lease.timer.Stop()
		m.lease.timer = nil
	}
	m.lease.valid, m.assigned = false, false
	m.share(infra.ErrLost)
	m.mu.Unlock()
	o.quit()
	if first {
		go o.closeClient()
		m.log.cfg.Fatal(fmt.Errorf("another process runs with the same broker.instance_id; give each process its own: %w", err))
	}
}

func (o *owner) assigned(_ context.Context, client *kgo.Client, given map[string][]int32) {
	o.rebalanced(given)
	m := o.members
	m.mu.Lock()
	defer m.mu.Unlock()
	for real, parts := range given {
		client.PauseFetchPartitions(map[string][]int32{real: parts})
		for _, p := range parts {
			if p >= m.shards {
				m.log.cfg.Logger.Error("the topic of the shards has new partitions: stop all processes before any starts again", slog.String("topic", real), slog.Int("partition", int(p)))
				continue
			}
			m.owned[p] = true
		}
	}
	m.assigned = true
	m.share(nil)
	select {
	case o.heartbeatNow <- struct{}{}:
	default:
	}
}

// revoked gives shards up. It returns when nothing works on them.
func (o *owner) revoked(_ context.Context, _ *kgo.Client, taken map[string][]int32) {
	late := time.NewTimer(rebalanceTimeout - rebalanceMargin)
	defer late.Stop()
	for _, c := range o.disown(taken, nil) {
		select {
		case <-c.Released():
		case <-late.C:
			o.members.log.cfg.Logger.Error("a partition was not given up in time; its events may come twice", slog.String("group", c.Group), slog.Int("partition", int(c.Partition)))
			return
		}
	}
}

func (o *owner) lost(_ context.Context, _ *kgo.Client, taken map[string][]int32) {
	o.disown(taken, infra.ErrLost)
}

// disown ends the claims of shards that are no longer owned, and returns them.
func (o *owner) disown(taken map[string][]int32, cause error) []*shares.Claim {
	o.rebalanced(taken)
	m := o.members
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, parts := range taken {
		for _, p := range parts {
			delete(m.owned, p)
		}
	}
	return m.share(cause)
}

// rebalanced calls the observer.
func (o *owner) rebalanced(moved map[string][]int32) {
	if len(moved) > 0 {
		o.members.log.cfg.Observer.Rebalanced()
	}
}

// closeClient closes the client. A static member stays in the group.
func (o *owner) closeClient() { o.closeOnce.Do(o.client.Close) }

// close leaves the group, as a static member too. Others get the shards at once.
func (o *owner) close() {
	o.quit()
	<-o.ended
	member, generation := o.client.GroupMetadata()
	o.closeClient()
	m := o.members
	m.mu.Lock()
	joined := m.lease.timer != nil && generation >= 0
	if m.lease.timer != nil {
		m.lease.timer.Stop()
	}
	m.mu.Unlock()
	cfg := &m.log.cfg
	if cfg.InstanceID == "" || !joined {
		return
	}
	if err := m.log.leave(cfg.owners(), member, cfg.InstanceID); err != nil {
		cfg.Logger.Warn("this process has not left the group of owners: others wait for broker.session_timeout", slog.Any("error", err))
	}
}

// leave removes members with a static id from a group.
func (l *Log) leave(group, member string, instances ...string) error {
	ctx, cancel := context.WithTimeout(l.ctx, answerTimeout)
	defer cancel()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = group
	for _, id := range instances {
		one := kmsg.NewLeaveGroupRequestMember()
		one.MemberID, one.InstanceID = member, &id
		req.Members = append(req.Members, one)
	}
	resp, err := req.RequestWith(ctx, l.client)
	if err != nil {
		return fmt.Errorf("leave group %s: %w", group, err)
	}
	for _, one := range resp.Members {
		err := kerr.ErrorForCode(one.ErrorCode)
		if err != nil && !errors.Is(err, kerr.UnknownMemberID) && !errors.Is(err, kerr.FencedInstanceID) { // it is gone, or somebody else's
			return fmt.Errorf("leave group %s: %w", group, err)
		}
	}
	return nil
}
