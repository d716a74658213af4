package router

import (
	"cmp"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router/attempt"
	"eventserver/router/record"
	"eventserver/router/redact"
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
	keys := r.scheduler().Waiting()
	slices.SortFunc(keys, func(a, b attempt.WaitSince) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Key, b.Key)) })
	for _, k := range keys[:min(n, len(keys))] {
		if w, ok := r.waiting(r.deliver, k.Key); ok { // else it has gone on meanwhile
			longest = append(longest, w)
		}
	}
	return longest, len(keys)
}

// Recent returns what this process remembers of the ends of an event's
// deliveries to a destination, the last first. It remembers the last few
// thousand of each destination. Without a key the events of that id of all users
// are one.
func (p *Pipeline) Recent(destination, eventID, key string) []attempt.Finish {
	r := p.find(destination)
	if r == nil {
		return nil
	}
	return r.recent.Of(eventID, key)
}

// Configured are the destinations as they run now.
func (p *Pipeline) Configured() []Destination {
	var out []Destination
	for _, r := range p.all() {
		out = append(out, r.dest)
	}
	return out
}

// waiting is what a stage has of a key.
func (r *running) waiting(s *stage, key string) (Waiting, bool) {
	w := Waiting{Stage: s.kind, Limit: r.dest.Retry.Attempts, Deferred: s.source.Deferred(key)}
	if s.source.scheduler == nil {
		first, run := s.waits.of(key)
		if first == nil {
			return w, false
		}
		w.identify(first)
		w.Reason, w.Since, w.Next = run.reason, run.since, run.next
		if run.err != nil {
			w.Last = redact.Detail(run.err, first.Payload)
		}
		return w, true
	}
	l, there := s.source.scheduler.Look(key, behindShown)
	if !there {
		return w, false
	}
	w.identify(l.First)
	w.Reason, w.Since, w.Next, w.Blocked, w.Waiting = l.Reason, l.Since, l.Next, l.Blocked, l.All
	w.Attempts, w.Counted = l.History.Tries, l.History.Counted
	for _, m := range l.Behind {
		w.Behind = append(w.Behind, Queued{record.EventID(m), infra.Partition(m), infra.Offset(m)})
	}
	if err := l.History.Err; err != nil {
		w.Last = redact.Detail(err, l.First.Payload)
	}
	return w, true
}

func (w *Waiting) identify(m *message.Message) {
	w.Key = m.Metadata.Get(infra.MetaKey)
	w.EventID, w.EventType = record.EventID(m), record.EventType(m)
	w.Partition, w.Offset = infra.Partition(m), infra.Offset(m)
}
