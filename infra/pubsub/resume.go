package pubsub

import (
	"log/slog"

	"eventserver/infra"
	"eventserver/infra/progress"
)

// begin asks the consumer, at the claim's first message, what is done beside what
// was kept.
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

// asks reports whether begin asks: nothing that was not kept is done where both are
// stored at once.
func (c *claim) asks() bool {
	return c.sub.cfg.Resume != nil && !c.sub.b.log.Limits().Whole
}

// made is what the consumer says is done. Its methods are run's.
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

// has reports whether a message that was not kept as done is so. All that come
// must be asked about, in order.
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
