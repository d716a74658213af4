package kafka

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
)

func keep(ctx context.Context, l *Log, partition int32, next int64) error {
	return l.Keep(ctx, infra.Progressed{Group: group, Topic: topic, Partition: partition, Position: infra.Position{Next: next}})
}

// A commit that nobody waited for any more was sent all the same, behind the one that
// was under way: another owner may have kept more by then.
func TestCommitNobodyWaitsForIsWithdrawn(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	l := process(t, c, "", nil)
	underWay, over := make(chan struct{}), make(chan struct{})
	c.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.SleepControl(func() { close(underWay); <-over })
		c.DropControl()
		return nil, nil, false
	})
	first := make(chan error)
	go func() { first <- keep(t.Context(), l, 0, 1) }()
	<-underWay
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error)
	go func() { second <- keep(ctx, l, 1, 1) }()
	require.Eventually(t, func() bool {
		l.commits.mu.Lock()
		defer l.commits.mu.Unlock()
		return len(l.commits.groups[group].pending) == 1
	}, timeout, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-second, context.Canceled)
	close(over)
	require.NoError(t, <-first)
	require.NoError(t, keep(t.Context(), l, 2, 1))
	kept, err := l.Kept(t.Context(), topic, group)
	require.NoError(t, err)
	assert.Equal(t, map[int32]infra.Position{0: {Next: 1}, 2: {Next: 1}}, kept[group])
}

// The client went on trying to commit for ten seconds, also when the lease had run out
// and another process was the owner: its mark and its progress were overwritten.
func TestCommitEndsWithTheLease(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	session := func(cfg *Config) { cfg.SessionTimeout = time.Second }
	o := newOwners(t)
	one, two := process(t, c, "one", session), process(t, c, "two", session)
	o.join("one", one, atOnce)
	o.await("one", 4)
	deaf, again := make(chan struct{}), make(chan struct{})
	c.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := r.(*kmsg.OffsetCommitRequest)
		if !slices.ContainsFunc(req.Topics, func(t kmsg.OffsetCommitRequestTopic) bool { return t.Partitions[0].Offset == 7 }) {
			return nil, nil, false
		}
		select {
		case <-deaf:
		default:
			close(deaf)
		}
		select {
		case <-again:
			return nil, nil, false
		default:
		}
		return refusal(req, kerr.CoordinatorNotAvailable), nil, true
	})
	kept := make(chan error)
	go func() { kept <- keep(t.Context(), one, 0, 7) }()
	<-deaf
	swallowHeartbeats(c, "one", again)
	o.join("two", two, atOnce)
	o.await("two", 4)
	close(again)
	require.Error(t, <-kept, "another process owned the partition when it was stored")
}

// refusal is the answer that says the same of every partition of a commit.
func refusal(req *kmsg.OffsetCommitRequest, why *kerr.Error) kmsg.Response {
	answer := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, t := range req.Topics {
		at := kmsg.NewOffsetCommitResponseTopic()
		at.Topic = t.Topic
		for _, p := range t.Partitions {
			no := kmsg.NewOffsetCommitResponseTopicPartition()
			no.Partition, no.ErrorCode = p.Partition, why.Code
			at.Partitions = append(at.Partitions, no)
		}
		answer.Topics = append(answer.Topics, at)
	}
	return answer
}
