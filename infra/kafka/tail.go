package kafka

import (
	"slices"
	"sync"
	"time"

	"eventserver/infra"
)

// tail is the live end of a partition.
type tail struct {
	followers *followers
	at        topicPartition
	info      *topicInfo
	topic     string // logical

	follower *follower
	sent     int64 // the offset that the session has; -1: none; its follower's alone
	queued   bool  // in follower.advanced; followers.mu

	mu            sync.Mutex
	closed        bool  // it is followed no more
	next          int64 // behind the last record
	ownRecords    int   // records that this process appended, since the last check
	foreign       bool  // somebody else appended some since then
	ownOnly       bool  // only this process appends: it is not polled
	base          int64
	records       []*infra.Record // from base on, that a cursor has not read
	bytes         int
	cursors       map[*cursor]bool // true: it has read everything
	cursorsBehind int              // cursors that have not
	idle          time.Time        // since when there are none
}

// cursorCaughtUp records that a cursor has caught up; t.mu is held.
func (t *tail) cursorCaughtUp() {
	if t.cursorsBehind--; t.cursorsBehind > 0 || len(t.records) == 0 {
		return
	}
	t.base = t.records[len(t.records)-1].Offset + 1
	t.followers.held.Add(-int64(t.bytes))
	t.records, t.bytes = nil, 0
}

// read returns records to a cursor. false: the cursor must read for itself.
func (t *tail) read(c *cursor, maxBytes int) (recs []*infra.Record, here bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || c.next < t.base {
		return nil, false
	}
	from, _ := slices.BinarySearchFunc(t.records, c.next, func(r *infra.Record, offset int64) int { return int(r.Offset - offset) })
	n := cut(t.records[from:], maxBytes)
	recs = slices.Clone(t.records[from : from+n])
	if read := t.cursors[c]; from+n == len(t.records) && !read {
		t.cursors[c] = true
		t.cursorCaughtUp()
	}
	return recs, true
}

// add adds new records, and wakes the cursors; t.mu is held.
func (t *tail) add(recs []*infra.Record, next int64) {
	t.next = next
	if len(t.cursors) == 0 {
		t.base = next
		return
	}
	if len(recs) == 0 {
		return
	}
	added := 0
	for _, r := range recs {
		added += sizeOf(r)
	}
	t.records = append(t.records, recs...)
	t.bytes += added
	t.cursorsBehind = len(t.cursors)
	for c := range t.cursors {
		t.cursors[c] = false
		c.wake()
	}
	limit := maxTailBytes
	if t.followers.held.Add(int64(added)) > maxAllTailsBytes {
		limit = minTailBytes
	}
	n, dropped := 0, 0
	for n < len(t.records)-1 && t.bytes-dropped > limit {
		dropped += sizeOf(t.records[n])
		n++
	}
	if n > 0 { // cursors that have not read them read for themselves
		t.base = t.records[n-1].Offset + 1
		clear(t.records[:n])
		t.records = t.records[n:]
		t.bytes -= dropped
		t.followers.held.Add(-int64(dropped))
	}
}

// end makes every cursor read for itself.
func (t *tail) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.followers.held.Add(-int64(t.bytes))
	t.records, t.bytes = nil, 0
	for c := range t.cursors {
		c.wake()
	}
}

func (t *tail) isIdle() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.cursors) == 0 && time.Since(t.idle) > tailIdle
}

// addOwn adds records of this process to a tail. changed: the poll must change.
func (t *tail) addOwn(rec *infra.Record) (changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.ownRecords++
	switch {
	case rec.Offset < t.next: // the poll was faster
		return false
	case rec.Offset > t.next: // records in between are another's, and are fetched
		was := t.ownOnly
		t.foreign, t.ownOnly = true, false
		return was
	}
	t.add([]*infra.Record{rec}, rec.Offset+1)
	return !t.ownOnly
}

// addFetched adds the records of a poll or of a check. changed: the poll must change.
func (t *tail) addFetched(got fetchResult) (changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if got.next <= t.next { // it has come already
		return false
	}
	if got.others {
		t.foreign, t.ownOnly = true, false
	}
	from, _ := slices.BinarySearchFunc(got.records, t.next, func(r *infra.Record, offset int64) int { return int(r.Offset - offset) })
	t.add(got.records[from:], got.next)
	return true
}

// updateOwnOnly decides at each check whether the partition is this process's own. changed: the
// result is another than before.
func (t *tail) updateOwnOnly() (changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.ownOnly
	t.ownOnly = t.ownRecords >= minOwnRecords && !t.foreign
	t.ownRecords, t.foreign = 0, false
	return t.ownOnly != was
}

// nextFetch returns where the next fetch continues, and whether the poll leaves the partition
// out.
func (t *tail) nextFetch() (next int64, own bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.next, t.ownOnly
}
