package kafka

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
)

// owners watches who has which partition: two at a time fail the test.
type owners struct {
	t  *testing.T
	mu sync.Mutex
	of map[int32]owned
	n  map[string]int // partitions by process
}

type owned struct {
	name  string
	claim infra.Claim
}

func newOwners(t *testing.T) *owners {
	return &owners{t: t, of: map[int32]owned{}, n: map[string]int{}}
}

// join makes a process a member, whose claims end when they are asked back and linger
// has been called.
func (o *owners) join(name string, l *Log, linger func(infra.Claim)) infra.Membership {
	o.t.Helper()
	m, err := l.Join(o.t.Context(), group, topic, func(c infra.Claim) {
		o.mu.Lock()
		if before, has := o.of[c.Partition]; has {
			assert.ErrorIs(o.t, context.Cause(before.claim.Context), infra.ErrLost, "partition %d of %s and %s", c.Partition, before.name, name)
		}
		o.of[c.Partition] = owned{name, c}
		o.n[name]++
		o.mu.Unlock()
		<-c.Context.Done()
		linger(c)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.n[name]--
		if o.of[c.Partition].name == name {
			delete(o.of, c.Partition)
		}
	})
	require.NoError(o.t, err)
	o.t.Cleanup(func() { _ = m.Close() })
	return m
}

func (o *owners) has(name string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n[name]
}

func (o *owners) await(name string, n int) {
	o.t.Helper()
	began := time.Now()
	require.Eventually(o.t, func() bool { return o.has(name) == n }, timeout, time.Millisecond, "%s has %d", name, o.has(name))
	o.t.Logf("%s has %d partitions after %v", name, n, time.Since(began).Round(time.Millisecond))
}

func atOnce(infra.Claim) {}

// process is a log of a process of its own.
func process(t *testing.T, c *kfake.Cluster, name string, change func(*Config)) *Log {
	t.Helper()
	cfg := testConfig(c.ListenAddrs()...)
	cfg.InstanceID = name
	if change != nil {
		change(&cfg)
	}
	l := openLog(t, cfg)
	require.NoError(t, l.CreateTopics(t.Context(), infra.Topic{Name: topic}))
	return l
}

// A second process takes half of the shards, and gives them up when it stops, under
// whatever name it comes back.
func TestProcessesShare(t *testing.T) {
	t.Parallel()
	for name, eager := range map[string]bool{"cooperative": false, "eager": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := cluster(t)
			rebalance := func(cfg *Config) { cfg.Eager = eager }
			o := newOwners(t)
			one := process(t, c, "one", rebalance)
			o.join("one", one, atOnce)
			o.await("one", 4)
			two := process(t, c, "two", rebalance)
			o.join("two", two, atOnce)
			o.await("two", 2)
			o.await("one", 2)
			members, err := one.Members(t.Context(), group)
			require.NoError(t, err)
			require.Len(t, members, 2, "each knows of the other")
			require.ErrorIs(t, one.Reset(t.Context(), group, topic, map[int32]int64{0: 0}), infra.ErrGroupBusy)
			require.NoError(t, two.Close())
			o.await("one", 4)
			members, err = one.Members(t.Context(), group)
			require.NoError(t, err)
			require.Len(t, members, 1)
		})
	}
}

// Who leaves a group while a partition of it is taken up leaves no mark: others would
// wait for as long as this process lives.
func TestLeavesNoMark(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	one, two := process(t, c, "one", nil), process(t, c, "two", func(cfg *Config) { cfg.Owners = "handlers" })
	newOwners(t).join("two", two, atOnce) // it owns its shards
	require.Eventually(t, func() bool {
		members, err := two.Members(t.Context(), group)
		return err == nil && len(members) == 1 && len(members[0].Partitions[topic]) == 4
	}, timeout, time.Millisecond)
	marking, left := make(chan struct{}), make(chan struct{})
	var held sync.Once
	c.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if r.(*kmsg.OffsetCommitRequest).Group == "mine" {
			held.Do(func() {
				c.SleepControl(func() { close(marking); <-left })
			})
		}
		return nil, nil, false
	})
	mine, err := two.Join(t.Context(), "mine", topic, func(c infra.Claim) { <-c.Context.Done() })
	require.NoError(t, err)
	<-marking
	closed := make(chan error)
	go func() { closed <- mine.Close() }()
	require.Eventually(t, func() bool {
		two.members.mu.Lock()
		defer two.members.mu.Unlock()
		for at, c := range two.members.claims {
			if at.group == "mine" && c.Context.Err() != nil {
				return true
			}
		}
		return false
	}, timeout, time.Millisecond)
	close(left)
	require.NoError(t, <-closed)
	require.NoError(t, one.DeleteGroups(t.Context(), "mine"))
}

// Programs with other destinations on the same topics share among themselves. On one
// destination only one of them works.
func TestOtherOwners(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	one := process(t, c, "one", nil)
	two := process(t, c, "two", func(cfg *Config) { cfg.Owners = "handlers" })
	o := newOwners(t)
	m := o.join("one", one, atOnce)
	o.await("one", 4)
	mine, err := two.Join(t.Context(), "mine", topic, func(c infra.Claim) { <-c.Context.Done() })
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		members, err := one.Members(t.Context(), "mine")
		return err == nil && len(members) == 1 && len(members[0].Partitions[topic]) == 4
	}, timeout, time.Millisecond)
	require.ErrorIs(t, one.DeleteGroups(t.Context(), "mine"), infra.ErrGroupBusy)
	require.NoError(t, mine.Close())
	require.NoError(t, one.DeleteGroups(t.Context(), "mine"))
	o.join("two", two, atOnce)
	require.NoError(t, m.Close())
	o.await("two", 4)
}

// swallowHeartbeats answers those of a process when it is over.
func swallowHeartbeats(c *kfake.Cluster, instance string, over <-chan struct{}) {
	c.ControlKey(int16(kmsg.Heartbeat), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if id := r.(*kmsg.HeartbeatRequest).InstanceID; id != nil && *id == instance {
			c.SleepControl(func() { <-over })
		}
		return nil, nil, false
	})
}

// A coordinator that answers no heartbeats of a process gives its shards to another one
// after the session timeout. A client may go on for a minute; the process has stopped by
// then.
func TestSwallowedHeartbeats(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	session := func(cfg *Config) { cfg.SessionTimeout = time.Second }
	o := newOwners(t)
	one, two := process(t, c, "one", session), process(t, c, "two", session)
	o.join("one", one, atOnce)
	o.await("one", 4)
	o.join("two", two, atOnce)
	o.await("two", 2)
	o.await("one", 2)
	over := make(chan struct{})
	var once sync.Once
	heard := func() { once.Do(func() { close(over) }) }
	t.Cleanup(heard)
	swallowHeartbeats(c, "one", over)
	o.await("two", 4)
	assert.Zero(t, o.has("one"))
	require.ErrorIs(t, one.Keep(t.Context(), infra.Progressed{Group: group, Topic: topic, Position: infra.Position{Next: 1}}), infra.ErrLost)
	heard()
	o.await("one", 2)
}

// A process that was stopped for longer than its session keeps nothing when it goes on,
// also before any timer has noticed.
func TestPausedOwnerKeepsNothing(t *testing.T) {
	t.Parallel()
	one := process(t, cluster(t), "one", nil)
	o := newOwners(t)
	o.join("one", one, atOnce)
	o.await("one", 4)
	keep := func() error {
		return one.Keep(t.Context(), infra.Progressed{Group: group, Topic: topic, Position: infra.Position{Next: 1}})
	}
	require.NoError(t, keep())
	m := &one.members
	m.mu.Lock()
	until := m.lease.until
	assert.True(t, m.lease.holds(until.Add(-time.Second)))
	assert.False(t, m.lease.holds(until.Add(time.Second)))
	assert.False(t, m.lease.holds(until.Round(0).Add(time.Second)), "by the clock on the wall, as after a suspend")
	m.mu.Unlock()
	_, _, err := m.recordProgress(infra.Progressed{Group: group, Topic: topic}, until.Add(time.Millisecond))
	require.ErrorIs(t, err, infra.ErrLost)
	m.mu.Lock()
	m.lease.until = time.Now() // it runs out
	m.mu.Unlock()
	m.expire()
	require.Eventually(t, func() bool { return keep() == nil }, timeout, time.Millisecond, "after the next heartbeat it owns them again")
}

// A handler that takes longer than the session at a rebalance holds up its own
// partitions, and nobody throws its process out.
func TestSlowHandlerAtARebalance(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	session := func(cfg *Config) { cfg.SessionTimeout = 500 * time.Millisecond }
	o := newOwners(t)
	one, two := process(t, c, "one", session), process(t, c, "two", session)
	asked, letGo := make(chan infra.Claim, 8), make(chan struct{})
	o.join("one", one, func(c infra.Claim) {
		asked <- c
		<-letGo
	})
	o.await("one", 4)
	o.join("two", two, atOnce)
	moving := <-asked
	until := one.members.leaseUntil()
	require.Eventually(t, func() bool { return one.members.leaseUntil().After(until.Add(2 * time.Second)) }, timeout, time.Millisecond, "it goes on being a member")
	assert.Zero(t, o.has("two"))
	assert.NotErrorIs(t, context.Cause(moving.Context), infra.ErrLost)
	require.NoError(t, one.Keep(t.Context(), infra.Progressed{Group: group, Topic: topic, Partition: moving.Partition, Position: infra.Position{Next: 0, Text: "late"}}))
	close(letGo)
	o.await("two", 2)
	kept, err := two.Kept(t.Context(), topic, group)
	require.NoError(t, err)
	assert.Equal(t, "late", kept[group][moving.Partition].Text)
}

func (m *members) leaseUntil() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lease.until
}

// A cluster was away for longer than a session. When it came back the client joined as
// another member, and a heartbeat of the old one, which had been tried all the time, was
// fenced. So the process ended: "another process runs with the same broker.instance_id".
func TestALateHeartbeatEndsNoProcess(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	cfg := testConfig(c.ListenAddrs()...)
	cfg.InstanceID = "node-1"
	cfg.Fatal = func(err error) { t.Errorf("the process ends: %v", err) }
	l := openLog(t, cfg)
	require.NoError(t, l.CreateTopics(t.Context(), infra.Topic{Name: topic}))
	all := newOwners(t)
	all.join("a", l, func(infra.Claim) {})
	all.await("a", int(cfg.Partitions))
	o := l.members.owner
	member, generation := o.client.GroupMetadata()
	late := kmsg.NewPtrHeartbeatRequest()
	late.Group, late.MemberID, late.Generation, late.InstanceID = l.cfg.owners(), member+"-before", generation, &cfg.InstanceID
	resp, err := late.RequestWith(t.Context(), l.client)
	require.NoError(t, err)
	require.ErrorIs(t, kerr.ErrorForCode(resp.ErrorCode), kerr.FencedInstanceID)
	o.sendHeartbeat(t.Context(), late.MemberID, generation)
	o.sendHeartbeat(t.Context(), member, generation)
	assert.Equal(t, int(cfg.Partitions), all.has("a"))
}
