package pubsub

import (
	"log/slog"

	"eventserver/infra"
	"eventserver/infra/progress"
)

// begin asks the consumer, at the claim's first message, what is done beyond the kept
// progress.
func (c *claim) begin() {
	if c.started {
		return
	}
	c.started, c.inRange = true, true
	if !c.canResume() {
		return
	}
	c.mu.Lock()
	at := infra.Resumption{Partition: c.base.Partition, Position: c.tracker.Low(), Note: c.tracker.Note()}
	c.mu.Unlock()
	r := c.sub.cfg.Resume(c.ctx, at)
	if !progress.NoteFits(r.Note) {
		c.sub.log.Error("a note does not fit into the progress", slog.Int("most", infra.MaxNote), slog.String("note", r.Note))
		r.Note = ""
	}
	c.alreadyDone = newDoneSet(r.Done)
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Note != at.Note {
		c.tracker.SetNote(r.Note)
		c.changed()
	}
}

// canResume reports whether begin calls Resume. Where output and progress are stored at once nothing is
// done beyond the kept progress.
func (c *claim) canResume() bool {
	return c.sub.cfg.Resume != nil && !c.sub.b.log.Limits().Whole
}

// doneSet has the messages that the consumer says are done. Only run calls its methods.
type doneSet struct {
	done       map[int64]infra.Identity // by offset; nil: nothing is
	last       int64                    // offset
	unfinished map[string]struct{}      // keys of which a message is not done
}

func newDoneSet(done map[int64]infra.Identity) doneSet {
	m := doneSet{last: -1}
	for offset := range done {
		m.done, m.last = done, max(m.last, offset)
	}
	if m.done != nil {
		m.unfinished = map[string]struct{}{}
	}
	return m
}

// has reports whether a message is done beyond the kept progress. It must be called for
// every message, in order.
func (m *doneSet) has(rec *infra.Record) bool {
	if m.done == nil {
		return false
	}
	if rec.Offset > m.last {
		*m = doneSet{}
		return false
	}
	key := string(rec.Key)
	want, known := m.done[rec.Offset]
	_, passed := m.unfinished[key]
	if known && !passed && key == want.Key && uuidOf(rec) == want.UUID {
		return true
	}
	m.unfinished[key] = struct{}{}
	return false
}
