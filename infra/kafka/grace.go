package kafka

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/IBM/sarama"
)

// attemptGrace is how long an attempt that is under way goes on when its claim
// has ended: until then the receiver's answer counts, and the next owner does not
// repeat the event. A partition that was given up waits so long for it, and with
// an eager rebalance the whole group.
const attemptGrace = time.Second

// grace is attemptGrace when the partition is given up in an orderly way. A member
// that was thrown out must stop: the next owner is at work. One that closes has
// drained for as long as it may.
func (c *claim) grace() time.Duration {
	if c.closing.Err() != nil {
		return 0
	}
	switch cause := context.Cause(c.session.Context()); {
	case cause == nil, // a cooperative rebalance takes the partition alone
		errors.Is(cause, context.Canceled), errors.Is(cause, sarama.ErrRebalanceInProgress),
		errors.Is(cause, sarama.ErrSessionPartitionCountChanged), errors.Is(cause, sarama.ErrSessionConsumeClaimExited):
		return attemptGrace
	default:
		return 0
	}
}

// finish waits for the handlers, whose contexts have ended. A handler that does not return within
// ReleaseTimeout is left behind: the partition is given up all the same.
func (c *claim) finish() {
	defer c.cut()
	if grace := c.grace(); grace > 0 {
		defer time.AfterFunc(grace, c.cut).Stop()
	} else {
		c.cut()
	}
	defer context.AfterFunc(c.closing, c.cut)()
	if c.paused { // sarama keeps a pause for the partition's next owner in this process
		c.sub.cg.Resume(map[string][]int32{c.topic: {c.partition}})
	}
	if c.told {
		c.sub.stalled(false)
	}
	idle := make(chan struct{})
	c.mu.Lock()
	if c.messages == 0 {
		close(idle)
	} else {
		c.idle = idle
	}
	c.mu.Unlock()
	late := time.NewTimer(c.sub.broker.releaseTimeout())
	defer late.Stop()
	select {
	case <-idle:
	case <-late.C:
		c.mu.Lock()
		n := c.messages
		c.mu.Unlock()
		c.sub.log.Error("handlers did not stop in time; their messages come again",
			slog.Int("partition", int(c.partition)), slog.Int("messages", n))
	}
	close(c.gone)
}
