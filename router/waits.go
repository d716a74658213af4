package router

import (
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/metrics"
)

// waits is a stage's register of the deliveries that do not go on at once, and
// of those that are tried again, so that somebody may ask why. What is done at
// its first attempt, without waiting, is never in it and costs nothing. There
// is at most one of a key, and never more than there are messages in handlers.
// A nil register keeps nothing.
type waits struct {
	mu  sync.Mutex
	all map[*progress]struct{}
}

func newWaits() *waits { return &waits{all: map[*progress]struct{}{}} }

// note is what a delivery waits for. The register's lock guards it.
type note struct {
	reason   string // metrics.Wait...
	since    time.Time
	next     time.Time // it goes on then; zero: not known
	attempts int       // made
	counted  int       // of them, those that spent the event's limit
	err      error     // of the last; nil: none was made
}

// begin notes that a delivery waits. It is called by its handler alone, as the
// others that take a progress are.
func (w *waits) begin(p *progress, reason string, next time.Time) {
	if w == nil || p.msg == nil && p.group == nil && p.run == nil {
		return
	}
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !p.listed {
		p.listed = true
		w.all[p] = struct{}{}
	}
	if p.note.reason == reason && p.note.attempts == p.tries {
		now = p.note.since // asked again for the same
	}
	p.note = note{reason: reason, since: now, next: next, attempts: p.tries, counted: p.counted, err: p.err}
}

// backOff notes that a delivery waits for its next attempt. The channel is closed
// when somebody wants that attempt now.
func (w *waits) backOff(p *progress, until time.Time) <-chan struct{} {
	if w == nil {
		return nil
	}
	w.begin(p, metrics.WaitBackoff, until)
	now := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	p.now = now
	return now
}

// retryNow ends the backoff of the deliveries of a key, and returns how many there
// were.
func (w *waits) retryNow(key func(string) bool) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.all {
		if p.backsOff(key) {
			close(p.now)
			p.now = nil
			n++
		}
	}
	return n
}

// backingOff counts the deliveries of a key that retryNow would hasten.
func (w *waits) backingOff(key func(string) bool) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.all {
		if p.backsOff(key) {
			n++
		}
	}
	return n
}

// backsOff reports whether a delivery of a key waits for its next attempt. The
// register's lock is held.
func (p *progress) backsOff(key func(string) bool) bool {
	return p.now != nil && p.note.reason == metrics.WaitBackoff && p.msg != nil && key(p.msg.Metadata.Get(infra.MetaKey))
}

// attempt notes that an attempt begins. Of a first one nothing is kept: what is
// in a handler and not in the register is being attempted.
func (w *waits) attempt(p *progress) {
	switch {
	case !p.listed:
	case p.tries == 0:
		w.end(p)
	default:
		w.begin(p, metrics.WaitAttempt, time.Time{})
	}
}

// end forgets a delivery.
func (w *waits) end(p *progress) {
	if !p.listed {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	p.listed = false
	delete(w.all, p)
}

// noted is one delivery's note, taken out of the register.
type noted struct {
	note
	head *message.Message // the first of its key, if the note is of a group
}

// of yields each message that p is about, by its key. Those of a group and of a run stay
// as they are while it is in its handler.
func (p *progress) of(yield func(key string, msg *message.Message) bool) {
	switch {
	case p.group != nil:
		for i := range p.group.members {
			if m := &p.group.members[i]; !yield(m.key, m.msg) {
				return
			}
		}
	case p.run != nil:
		for _, part := range p.run {
			for _, m := range part.Messages {
				if !yield(orderKey(m), m) {
					return
				}
			}
		}
	default:
		yield(orderKey(p.msg), p.msg)
	}
}

// byKey copies the register. A group is there under the key of each member.
func (w *waits) byKey() map[string]noted {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make(map[string]noted, len(w.all))
	for p := range w.all {
		for key, msg := range p.of {
			if _, there := out[key]; !there {
				out[key] = noted{p.note, msg}
			}
		}
	}
	return out
}

// of finds the note of a key.
func (w *waits) of(key string) (noted, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.all {
		for k, msg := range p.of {
			if k == key {
				return noted{p.note, msg}, true
			}
		}
	}
	return noted{}, false
}

// blockedBy counts the blocked keys of o by reason.
func (w *waits) blockedBy(o *Ordered) map[string]int {
	out := map[string]int{}
	notes := w.byKey()
	for _, q := range o.blocked() {
		out[q.reason(notes[q.key])]++
	}
	return out
}
