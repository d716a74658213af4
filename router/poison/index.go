package poison

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/router/record"
)

// index knows which records of a poison queue are settled. It reads what has
// come since it was last asked, and keeps no record: a set of offsets, and a
// number for each key that has something in the queue.
type index struct {
	reader infra.Reader
	topic  string
	hash   func(key string) uint64
	busy   chan struct{} // held by whoever uses what is below
	parts  map[int32]*part
}

// part is what is known of a partition.
type part struct {
	next    int64 // read up to there
	end     int64 // of the partition, as of the last refresh
	low     int64 // all below is settled, or is no item
	settled offsets
	waiting int64 // items that are not settled
	// latest is the highest sequence of each key's items. Where a later item has
	// a lower one, such as one that was given up after retries while the
	// transformation of the next failed at once, the key is in mixed.
	latest map[uint64]int64
	mixed  map[uint64]struct{}
}

func newIndex(reader infra.Reader, destination string, hash func(string) uint64) *index {
	return &index{reader: reader, topic: record.PoisonTopic(destination), hash: hash, busy: make(chan struct{}, 1), parts: map[int32]*part{}}
}

func newPart() *part {
	return &part{latest: map[uint64]int64{}, mixed: map[uint64]struct{}{}}
}

func (x *index) lock(ctx context.Context) error {
	select {
	case x.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (x *index) unlock() { <-x.busy }

// refresh reads what is new and returns where what is not settled may be.
func (x *index) refresh(ctx context.Context) (map[int32]infra.Range, error) {
	if err := x.lock(ctx); err != nil {
		return nil, err
	}
	defer x.unlock()
	bounds, err := x.reader.Bounds(ctx, x.topic, time.Time{})
	if err != nil {
		return nil, err
	}
	for p, b := range bounds {
		if known := x.parts[p]; known != nil && b.End < known.next { // the topic was made anew, or lost its tail
			x.parts = map[int32]*part{}
			break
		}
	}
	ranges := map[int32]infra.Range{}
	for p, b := range bounds {
		if x.parts[p] == nil {
			x.parts[p] = newPart()
		}
		if at := x.parts[p]; at.low < b.Oldest && at.next > at.low { // somebody deleted records of it
			x.parts[p] = newPart()
		}
		at := x.parts[p]
		at.end, at.low, at.next = b.End, max(at.low, b.Oldest), max(at.next, b.Oldest)
		ranges[p] = infra.Range{From: at.next, To: b.End}
	}
	err = x.reader.Scan(ctx, x.topic, ranges, func(m *message.Message, _ time.Time) error { x.take(m); return nil })
	if err := infra.Readable(err); err != nil {
		return nil, err
	}
	out := map[int32]infra.Range{}
	for p, b := range bounds {
		at := x.parts[p]
		at.next = max(at.next, b.End)
		at.tidy()
		if at.low < b.End {
			out[p] = infra.Range{From: at.low, To: b.End}
		}
	}
	return out, nil
}

func (x *index) take(m *message.Message) {
	pos := record.PositionOf(m)
	at := x.parts[pos.Partition]
	at.next = pos.Offset + 1
	if mark, is := record.DecodeMark(m); is {
		at.settled.add(pos.Offset)
		x.mark(mark.Of)
		return
	}
	at.waiting++
	g := record.DecodePoison("", m)
	if g.Key == "" {
		return
	}
	key := x.hash(g.Key)
	last, known := at.latest[key]
	if known && g.Sequence < last {
		at.mixed[key] = struct{}{}
	}
	if !known || g.Sequence > last {
		at.latest[key] = g.Sequence
	}
}

func (x *index) mark(of record.Position) {
	at := x.parts[of.Partition]
	if at != nil && of.Offset >= at.low && of.Offset < at.end+farthest && at.settled.add(of.Offset) {
		at.waiting--
	}
}

// waits counts the items that are not settled, as of the last refresh.
func (x *index) waits(ctx context.Context) (n int64, err error) {
	if err := x.lock(ctx); err != nil {
		return 0, err
	}
	defer x.unlock()
	for _, p := range x.parts {
		n += max(p.waiting, 0)
	}
	return n, nil
}

// tidy drops what is settled without a gap.
func (p *part) tidy() {
	was := p.low
	for p.low < p.next && p.settled.has(p.low) {
		p.low++
	}
	if p.low > was {
		p.settled.drop(p.low)
	}
	if p.low == p.next {
		clear(p.latest)
		clear(p.mixed)
	}
}

// settle notes marks that were written, before they are read.
func (x *index) settle(ctx context.Context, of ...record.Position) error {
	if err := x.lock(ctx); err != nil {
		return err
	}
	defer x.unlock()
	for _, at := range of {
		x.mark(at)
	}
	return nil
}

// open reports whether an item waits for an operator, and whether its key's
// items are in another order than their sequence.
func (x *index) open(ctx context.Context, at record.Position, key string) (waits, mixed bool, err error) {
	if err := x.lock(ctx); err != nil {
		return false, false, err
	}
	defer x.unlock()
	p := x.parts[at.Partition]
	if p == nil || at.Offset < p.low || p.settled.has(at.Offset) {
		return false, false, nil
	}
	if key != "" {
		_, mixed = p.mixed[x.hash(key)]
	}
	return true, mixed, nil
}
