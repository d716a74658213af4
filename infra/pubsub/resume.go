package pubsub

import (
	"log/slog"

	"eventserver/infra"
	"eventserver/infra/progress"
)

// begin asks the consumer, at the claim's first message, what is done beyond the kept
// progress.
func (c *claim) begin() {
	if c.begun {
		return
	}
	c.begun, c.placed = true, true
	if !c.asks() {
		return
	}
	c.mu.Lock()
	at := infra.Resumption{Partition: c.of.Partition, Position: c.tracker.Low(), Note: c.tracker.Note()}
	c.mu.Unlock()
	r := c.sub.cfg.Resume(c.ctx, at)
	if !progress.NoteFits(r.Note) {
		c.sub.log.Error("a note does not fit into the progress", slog.Int("most", infra.MaxNote), slog.String("note", r.Note))
		r.Note = ""
	}
	c.made = newMade(r.Done)
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Note != at.Note {
		c.tracker.SetNote(r.Note)
		c.changed()
	}
}

// asks reports whether begin asks. Where output and progress are stored at once nothing is
// done beyond the kept progress.
func (c *claim) asks() bool {
	return c.sub.cfg.Resume != nil && !c.sub.b.log.Limits().Whole
}

// made are the messages that the consumer says are done. Only run calls its methods.
type made struct {
	done   map[int64]infra.Identity // by offset; nil: nothing is
	last   int64                    // offset
	handed map[string]struct{}      // keys of which a message is not done
}

func newMade(done map[int64]infra.Identity) made {
	m := made{last: -1}
	for offset := range done {
		m.done, m.last = done, max(m.last, offset)
	}
	if m.done != nil {
		m.handed = map[string]struct{}{}
	}
	return m
}

// has reports whether a message is done beyond the kept progress. It must be called for
// every message, in order.
func (m *made) has(rec *infra.Record) bool {
	if m.done == nil {
		return false
	}
	if rec.Offset > m.last {
		*m = made{}
		return false
	}
	key := string(rec.Key)
	want, known := m.done[rec.Offset]
	_, handed := m.handed[key]
	if known && !handed && key == want.Key && uuidOf(rec) == want.UUID {
		return true
	}
	m.handed[key] = struct{}{}
	return false
}
