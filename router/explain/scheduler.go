package explain

import (
	"time"

	"eventserver/router"
)

// What the scheduler of this process says. A command that looks without a server has none.

func (c *inquiry) describe(w *router.Waiting, v *DestinationExplanation) {
	v.Attempts, v.Limit, v.LastAnswer, v.Next, v.Reason = w.Attempts, w.Limit, w.Last, w.Next.UTC(), w.Reason
	if !w.Since.IsZero() {
		v.Since = w.Since.UTC()
	}
	if w.Next.IsZero() {
		v.Next = time.Time{}
	}
}

func blocking(w *router.Waiting) *BlockingEvent {
	return &BlockingEvent{EventID: w.EventID, Partition: w.Partition, Offset: w.Offset, Reason: w.Reason, Attempts: w.Attempts, Limit: w.Limit,
		LastAnswer: w.Last, Since: w.Since, Next: w.Next}
}

func (c *inquiry) waiting(id, orderKey string) []router.Waiting {
	if c.x.cfg.Live == nil {
		return nil
	}
	return c.x.cfg.Live.Waiting(id, orderKey)
}

func (c *inquiry) status(id string) (router.Status, bool) {
	if c.x.cfg.Live == nil {
		return router.Status{}, false
	}
	return c.x.cfg.Live.Status(id)
}
