package pubsub

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"eventserver/infra"
)

// isLost reports whether another member may own the partition already.
func (c *claim) isLost() bool { return errors.Is(context.Cause(c.base.Context), infra.ErrLost) }

// attemptGrace is how long a running attempt may continue after its claim has ended. Until
// then the receiver's answer counts, and the next owner does not repeat the event. The
// next owner waits that long for the partition.
const attemptGrace = time.Second

// grace is attemptGrace when the partition is given up in an orderly way. When it is lost
// there is none, because the next owner is at work. A closing subscription has none
// either: it was drained before.
func (c *claim) grace() time.Duration {
	if c.sub.closing.Err() != nil || c.isLost() {
		return 0
	}
	return attemptGrace
}

// finish waits for the handlers, whose contexts have ended. A handler that does not return
// within ReleaseTimeout is abandoned, and the partition is given up.
func (c *claim) finish() {
	defer c.cancelAttempts()
	if grace := c.grace(); grace > 0 {
		defer time.AfterFunc(grace, c.cancelAttempts).Stop()
	} else {
		c.cancelAttempts()
	}
	defer context.AfterFunc(c.sub.closing, c.cancelAttempts)()
	idle := make(chan struct{})
	c.mu.Lock()
	stallLogged := c.stallLogged
	if c.messages == 0 {
		close(idle)
	} else {
		c.idle = idle
	}
	c.mu.Unlock()
	if stallLogged {
		c.sub.stalled(false)
	}
	late := time.NewTimer(c.sub.b.releaseTimeout())
	defer late.Stop()
	select {
	case <-idle:
	case <-late.C:
		c.mu.Lock()
		n := c.messages
		c.mu.Unlock()
		c.sub.log.Error("handlers did not stop in time; their messages are delivered again",
			slog.Int("partition", int(c.base.Partition)), slog.Int("messages", n))
	}
	close(c.abandoned)
}
