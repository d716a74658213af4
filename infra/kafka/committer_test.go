package kafka

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
)

// A broker answers the requests of a connection one after the other, and sarama
// sends commits on the one that fetches: a commit waited for a long poll to end.
func TestCommitsDoNotWaitForFetches(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	b := open(t, testConfig(c.ListenAddrs()...))
	ensure(t, b, topic)
	publish(t, b, "u", 0, 1)
	_, in := subscribe(t, b)
	m := receive(t, in)
	release, held := make(chan struct{}), make(chan struct{}, 100)
	c.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		select {
		case held <- struct{}{}:
		default:
		}
		c.SleepControl(func() { <-release })
		return nil, nil, false
	})
	<-held
	m.Ack()
	committed(t, b, 0)
	close(release)
}

// committed waits until the group lacks n messages.
func committed(t *testing.T, b *Broker, n int64) {
	t.Helper()
	require.Eventually(t, func() bool {
		lag, err := infra.LagOf(t.Context(), b, group, topic)
		return err == nil && lag == n
	}, timeout, 5*time.Millisecond)
}

// A commit that fails is sent again, also when nothing more is done, and to
// whoever is the coordinator by then.
func TestCommitIsSentAgain(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	b := open(t, testConfig(c.ListenAddrs()...))
	ensure(t, b, topic)
	publish(t, b, "u", 0, 3)
	_, in := subscribe(t, b)
	var fails atomic.Int64
	codes := []*kerr.Error{kerr.NotCoordinator, kerr.CoordinatorNotAvailable, kerr.UnknownServerError}
	c.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		n := fails.Add(1)
		if n > int64(len(codes)) {
			return nil, nil, false
		}
		r := req.(*kmsg.OffsetCommitRequest)
		resp := r.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, topic := range r.Topics {
			rt := kmsg.OffsetCommitResponseTopic{Topic: topic.Topic}
			for _, p := range topic.Partitions {
				rt.Partitions = append(rt.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: codes[n-1].Code})
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	for range 3 {
		receive(t, in).Ack()
	}
	committed(t, b, 0)
	assert.Greater(t, fails.Load(), int64(len(codes)))
}

// A broker closes a connection that was idle for ten minutes, which shows with
// the next commit: after each quiet night there was a warning, and for a quarter
// of a second a kill would have repeated what was done. It is sent at once on a
// new connection, and nobody is asked who the coordinator is.
func TestCommitOnAConnectionThatWasClosed(t *testing.T) {
	t.Parallel()
	var log lines
	c := cluster(t)
	cfg := testConfig(c.ListenAddrs()...)
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b := open(t, cfg)
	ensure(t, b, topic)
	publish(t, b, "u", 0, 3)
	_, in := subscribe(t, b)
	receive(t, in).Ack()
	committed(t, b, 2) // on a connection that is used again

	var commits, asked atomic.Int64
	c.ControlKey(int16(kmsg.FindCoordinator), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		asked.Add(1)
		return nil, nil, false
	})
	c.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if commits.Add(1) == 1 {
			return nil, errors.New("closed"), true // the connection
		}
		return nil, nil, false
	})
	receive(t, in).Ack()
	committed(t, b, 1)
	assert.EqualValues(t, 2, commits.Load(), "once on each connection")
	assert.Zero(t, log.count("commit failed"))
	assert.Zero(t, asked.Load(), "the coordinator is who it was")
}
