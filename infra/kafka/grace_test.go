package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// What ends a claim decides whether an attempt may be finished: not when the
// next owner is at work already, nor when a stop has waited as long as it may.
func TestGraceOfAClaim(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end   func(t *testing.T, one, two *Broker)
		grace bool
	}{
		"rebalance": {func(t *testing.T, _, two *Broker) { _, _ = subscribe(t, two) }, true},
		"thrown out": {func(t *testing.T, one, two *Broker) {
			one.mu.Lock()
			var member string
			for id := range one.taken {
				member = id
			}
			one.mu.Unlock()
			_, err := two.admin.RemoveMemberFromConsumerGroup(two.group(group), []string{member})
			require.NoError(t, err)
		}, false},
		"close": {func(t *testing.T, one, _ *Broker) {
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				_ = one.Close()
			}()
			t.Cleanup(func() { <-closed })
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(cluster(t).ListenAddrs()...)
			cfg.Partitions, cfg.ReleaseTimeout = 1, 20*time.Second
			cfg.InstanceID = "one"
			one := open(t, cfg)
			cfg.InstanceID = "two"
			two := open(t, cfg)
			ensure(t, one, topic)
			publish(t, one, "u", 0, 1)
			_, in := subscribe(t, one)
			msg := receive(t, in)
			ctx := msg.Context()
			c.end(t, one, two)
			<-ctx.Done()
			later := infra.Grace(ctx)
			if c.grace {
				assert.NoError(t, later.Err(), "the attempt goes on")
			}
			<-later.Done()
			msg.Nack()
		})
	}
}

// The grace does not outlive its time, and an ack in it counts: the next owner
// goes on behind it.
func TestAckWithinTheGraceCounts(t *testing.T) {
	t.Parallel()
	cfg := testConfig(cluster(t).ListenAddrs()...)
	cfg.Partitions, cfg.ReleaseTimeout = 1, 20*time.Second
	one, two := open(t, cfg), open(t, cfg)
	ensure(t, one, topic)
	publish(t, one, "u", 0, 2)
	_, in := subscribe(t, one)
	first, second := receive(t, in), receive(t, in)
	_, next := subscribe(t, two)
	<-first.Context().Done()
	first.Ack() // while the claim waits for its attempt
	<-infra.Grace(second.Context()).Done()
	second.Nack()
	var got string
	select { // whoever has the partition now
	case m := <-in:
		got = string(m.Payload)
		m.Ack()
	case m := <-next:
		got = string(m.Payload)
		m.Ack()
	case <-time.After(timeout):
	}
	assert.Equal(t, "1", got)
}

// session is one that ended for a reason.
type session struct {
	sarama.ConsumerGroupSession

	ctx context.Context
}

func (s session) Context() context.Context { return s.ctx }

func TestGraceByCause(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cause error // nil: the session goes on and the partition was taken by a cooperative rebalance
		want  time.Duration
	}{
		{nil, attemptGrace},
		{sarama.ErrRebalanceInProgress, attemptGrace},
		{sarama.ErrSessionPartitionCountChanged, attemptGrace},
		{sarama.ErrSessionConsumeClaimExited, attemptGrace},
		{sarama.ErrUnknownMemberId, 0},
		{sarama.ErrIllegalGeneration, 0},
		{sarama.ErrFencedInstancedId, 0},
		{sarama.ErrSessionHeartbeatFailed, 0},
	} {
		ctx, end := context.WithCancelCause(t.Context())
		if c.cause != nil {
			end(c.cause)
		}
		assert.Equal(t, c.want, (&claim{closing: t.Context(), session: session{ctx: ctx}}).grace(), "%v", c.cause)
		closing, shut := context.WithCancel(t.Context())
		shut()
		assert.Zero(t, (&claim{closing: closing, session: session{ctx: ctx}}).grace(), "a stop")
		end(nil)
	}
}
