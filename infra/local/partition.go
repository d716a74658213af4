package local

import (
	"sync"
	"sync/atomic"
)

// partition is a sequence of records.
type partition struct {
	topic *topic
	n     int32

	// The committer's.
	next          int64 // the next offset
	last          int64 // time of the newest record
	additionIndex int   // index in the additions of the group under construction

	syncing atomic.Bool  // a group with records of it waits for the disk
	live    atomic.Int32 // cursors at the end

	mu      sync.Mutex
	low     int64 // the oldest record
	end     int64 // behind the newest that may be read
	tail    tail
	cursors []*cursor
}

func (p *partition) bounds() (low, end int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.low, p.end
}

// publish makes the records of a group readable. It returns the bytes that the tail has
// taken.
func (p *partition) publish(t *addition) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.syncing.Store(false)
	p.end = t.end
	added := 0
	if p.live.Load() > 0 && len(t.tail) > 0 {
		p.tail.add(t.tail)
		added = t.bytes
	} else {
		p.tail.clear()
	}
	p.wakeLocked()
	return added
}

func (p *partition) wake() {
	p.mu.Lock()
	p.wakeLocked()
	p.mu.Unlock()
}

func (p *partition) wakeLocked() {
	for _, c := range p.cursors {
		if c.waiting {
			c.waiting = false
			c.signal()
		}
	}
}
