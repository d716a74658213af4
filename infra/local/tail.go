package local

import (
	"slices"
	"sync"
	"unsafe"

	"eventserver/infra"
)

// tail has the newest records of a partition, for cursors at its end. Its offsets have no
// gap.
type tail struct {
	records []*infra.Record // the first head of them are gone
	head    int
}

// tailSize is the memory of a record.
func tailSize(r *infra.Record) int {
	return int(unsafe.Sizeof(*r)) + cap(r.Headers)*int(unsafe.Sizeof(infra.Header{})) + recordSize(r)
}

func (t *tail) add(records []*infra.Record) {
	if n := len(t.records); n > t.head && t.records[n-1].Offset+1 != records[0].Offset {
		t.clear()
	}
	t.records = append(t.records, records...)
}

func (t *tail) clear() {
	clear(t.records)
	t.records, t.head = t.records[:0], 0
}

// drop removes the records below offset.
func (t *tail) drop(below int64) {
	for t.head < len(t.records) && t.records[t.head].Offset < below {
		t.records[t.head] = nil
		t.head++
	}
	if t.head > len(t.records)/2 {
		rest := copy(t.records, t.records[t.head:])
		clear(t.records[rest:])
		t.records, t.head = t.records[:rest], 0
	}
}

// read returns about maxBytes of records from offset on, or none when they are not here.
func (t *tail) read(from int64, maxBytes int) []*infra.Record {
	here := t.records[t.head:]
	if len(here) == 0 || from < here[0].Offset {
		return nil
	}
	here = here[from-here[0].Offset:]
	n, bytes := 0, 0
	for n < len(here) && (n == 0 || bytes < maxBytes) {
		bytes += recordSize(here[n])
		n++
	}
	out := make([]*infra.Record, n)
	for i := range out {
		r := *here[i]
		r.Headers = slices.Clip(r.Headers) // an append by a reader copies
		out[i] = &r
	}
	return out
}

// tailBudget bounds the tails of all partitions. The oldest records are removed first.
type tailBudget struct {
	mu    sync.Mutex
	bytes int
	first int
	parts []tailPart
}

// tailPart is what one group added to a partition's tail.
type tailPart struct {
	p     *partition
	end   int64
	bytes int
}

func (b *tailBudget) add(p *partition, end int64, bytes int) {
	var out []tailPart
	b.mu.Lock()
	b.parts = append(b.parts, tailPart{p, end, bytes})
	b.bytes += bytes
	for b.bytes > tailBytes {
		out = append(out, b.parts[b.first])
		b.bytes -= b.parts[b.first].bytes
		b.parts[b.first] = tailPart{}
		b.first++
	}
	if b.first > len(b.parts)/2 {
		rest := copy(b.parts, b.parts[b.first:])
		clear(b.parts[rest:])
		b.parts, b.first = b.parts[:rest], 0
	}
	b.mu.Unlock()
	for _, o := range out {
		o.p.mu.Lock()
		o.p.tail.drop(o.end)
		o.p.mu.Unlock()
	}
}
