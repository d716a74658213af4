package router

import (
	"cmp"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/metrics"
)

// Waiting is what one key of a destination waits for: its first event that is
// not done, and what waits behind that.
type Waiting struct {
	Stage     string // transform or deliver
	Key       string // "": the event has none, as another program wrote it
	EventID   string // the first, which is attempted or holds the key up
	EventType string
	Partition int32 // of the event's record in the stage's topic
	Offset    int64

	Reason   string    // metrics.Wait...
	Since    time.Time // it waits for that; zero: not known, as of a first attempt
	Next     time.Time // it goes on then; zero: not known. In the past: as soon as it can
	Attempts int       // made before
	Counted  int       // of them, those that spent the event's limit, which is Limit
	Limit    int
	Last     string // answer of the last attempt, cleaned; "": there was none

	Blocked  time.Time // since when something waits behind it; zero: nothing does
	Behind   []Queued  // in order, the first ones
	Waiting  int       // how many there are in all, as far as they are read
	Deferred int       // read past, because the key has so many; they are read again in their turn
}

// Queued is an event that waits behind another of its key.
type Queued struct {
	EventID   string
	Partition int32
	Offset    int64
}

// behindShown bounds Waiting.Behind.
const behindShown = 100

// OrderKey is what a message, read from a topic of a destination, is ordered
// by: what Waiting takes.
func OrderKey(msg *message.Message) string { return orderKey(msg) }

// Waiting tells what this process has of a key: one for each stage of the
// destination where something of it is not done, the deliver stage first.
func (p *Pipeline) Waiting(destination, key string) []Waiting {
	r := p.find(destination)
	if r == nil {
		return nil
	}
	var out []Waiting
	stages := r.stages()
	slices.Reverse(stages)
	for _, s := range stages {
		if w, ok := r.waiting(s, key); ok {
			out = append(out, w)
		}
	}
	return out
}

// Blocked tells of the keys of a destination that something waits behind, or
// that wait themselves for more than an attempt under way: the n that do so
// longest, the first of them first, and how many there are in all.
func (p *Pipeline) Blocked(destination string, n int) (longest []Waiting, all int) {
	r := p.find(destination)
	if r == nil {
		return nil, 0
	}
	type one struct {
		key   string
		since time.Time
	}
	var keys []one
	seen := map[string]bool{}
	s := r.deliver
	if o := s.source.ordered; o != nil {
		for _, q := range o.blocked() {
			keys = append(keys, one{q.key, q.since})
			seen[q.key] = true
		}
	}
	for key, noted := range s.waits.byKey() {
		if !seen[key] {
			keys = append(keys, one{key, noted.since})
		}
	}
	slices.SortFunc(keys, func(a, b one) int { return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.key, b.key)) })
	for _, k := range keys[:min(n, len(keys))] {
		if w, ok := r.waiting(s, k.key); ok { // else it has gone on meanwhile
			longest = append(longest, w)
		}
	}
	return longest, len(keys)
}

// Recent returns what this process remembers of the ends of an event's
// deliveries to a destination, the last first. It remembers the last few
// thousand of each destination. Without a key the events of that id of all users
// are one.
func (p *Pipeline) Recent(destination, eventID, key string) []Finish {
	r := p.find(destination)
	if r == nil {
		return nil
	}
	return r.recent.of(eventID, key)
}

// Configured are the destinations as they run now.
func (p *Pipeline) Configured() []Destination {
	var out []Destination
	for _, r := range p.all() {
		out = append(out, r.dest)
	}
	return out
}

// waiting joins what the queue and the register of a stage say of a key.
func (r *running) waiting(s *stage, key string) (Waiting, bool) {
	w := Waiting{Stage: s.kind, Limit: r.dest.Retry.Attempts}
	none := noted{}
	noted, ok := s.waits.of(key)
	if o := s.source.ordered; o != nil {
		q, there := o.queue(key)
		if !there {
			return w, false
		}
		if ok && !sameRecord(noted.head, q.head) { // one of them was asked before the key went on
			noted, ok = s.waits.of(key)
			if ok && !sameRecord(noted.head, q.head) {
				noted = none
			}
		}
		w.Reason = q.reason(noted)
		w.identify(q.head)
		w.Waiting = len(q.behind)
		for _, m := range q.behind[:min(behindShown, len(q.behind))] {
			w.Behind = append(w.Behind, Queued{m.Metadata.Get(hID), infra.Partition(m), infra.Offset(m)})
		}
		if q.waiting > 0 {
			w.Blocked = q.since
		}
	} else {
		if !ok {
			return w, false
		}
		w.Reason = noted.reason
		w.identify(noted.head)
	}
	w.Deferred = s.source.Deferred(key)
	w.Since, w.Next = noted.since, noted.next
	w.Attempts, w.Counted = noted.attempts, noted.counted
	if noted.err != nil {
		w.Last = detail(noted.err, noted.head.Payload)
	}
	switch w.Reason {
	case metrics.WaitBreaker:
		w.Next = r.gate.breaker.status().Until
	case metrics.WaitPaused:
		if h := r.gate.held.Load(); h != nil && !h.note.At.IsZero() && h.note.At.After(w.Since) {
			w.Since = h.note.At
		}
	}
	return w, true
}

func (w *Waiting) identify(m *message.Message) {
	w.Key = m.Metadata.Get(infra.MetaKey)
	w.EventID, w.EventType = m.Metadata.Get(hID), m.Metadata.Get(hType)
	w.Partition, w.Offset = infra.Partition(m), infra.Offset(m)
}

// sameRecord: a redelivery and the message itself share their metadata.
func sameRecord(a, b *message.Message) bool {
	return a != nil && b != nil && a.UUID == b.UUID && infra.Offset(a) == infra.Offset(b) && infra.Partition(a) == infra.Partition(b)
}
