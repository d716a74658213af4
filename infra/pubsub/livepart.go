package pubsub

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// livePart is the live end of a partition: its newest records, which one goroutine reads,
// and the claims that have caught up.
type livePart struct {
	live      *live
	partition int32
	users     int // claims; live.mu
	quit      context.CancelFunc
	ended     chan struct{}
	maxBytes  atomic.Int64 // bytes

	mu          sync.Mutex // run alone writes positioned and end
	positioned  bool       // from and end are known
	entries     []*entry
	head        int // the first of them are gone
	bytes       int
	from        int64                  // records from here on are in entries,
	end         int64                  // up to here
	read        int64                  // records since the start
	truncations []int64                // where the partition ended when it had lost its end
	waiting     map[*follower]struct{} // for positioned
	followers   map[*subscription]*follower
}

// entry is a record at the live end.
type entry struct {
	rec    *infra.Record
	number int64 // of the records that were read here
	once   sync.Once
	msg    *message.Message
}

// message returns the record's message, made once for all subscriptions.
func (e *entry) message() *message.Message {
	e.once.Do(func() {
		e.msg = readUnacked(e.rec)
		e.msg.SetContext(infra.WithDerived(context.Background()))
	})
	return e.msg
}

// entrySize is the memory of an entry. The message may take as much as the record.
func entrySize(rec *infra.Record) int { return int(unsafe.Sizeof(entry{})) + 2*sizeOf(rec) }

// liveBack is how far before its end a partition is read at the start, for claims that are
// not at the end because a kill lost their last progress.
const liveBack = 4096

func newLivePart(l *live, partition int32) *livePart {
	ctx, quit := context.WithCancel(context.Background())
	lp := &livePart{
		live: l, partition: partition, quit: quit, ended: make(chan struct{}),
		waiting: map[*follower]struct{}{}, followers: map[*subscription]*follower{},
	}
	go lp.run(ctx)
	return lp
}

// run reads until the last claim has gone.
func (lp *livePart) run(ctx context.Context) {
	defer close(lp.ended)
	var cursor infra.Cursor
	defer func() {
		if cursor != nil {
			cursor.Close()
		}
	}()
	wait := time.Duration(0)
	for ctx.Err() == nil {
		some, err := lp.readOnce(ctx, &cursor)
		if err == nil {
			wait = 0
			if !some {
				select {
				case <-cursor.More():
				case <-ctx.Done():
				}
			}
			continue
		}
		if cursor != nil {
			cursor.Close()
			cursor = nil
		}
		first := wait == 0
		wait = min(max(2*wait, lp.live.b.cfg.NackDelay), readPatience)
		lp.failed(ctx, err, first, wait)
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
	}
}

func (lp *livePart) failed(ctx context.Context, err error, first bool, wait time.Duration) {
	if ctx.Err() != nil {
		return
	}
	level := slog.LevelDebug
	if first {
		level = slog.LevelWarn
	}
	lp.live.b.cfg.Logger.Log(ctx, level, "cannot read the live end; trying again", slog.String("topic", lp.live.topic),
		slog.Int("partition", int(lp.partition)), slog.Any("error", err), slog.Duration("wait", wait))
}

// readOnce reads once. It returns false when there are no new records.
func (lp *livePart) readOnce(ctx context.Context, cursor *infra.Cursor) (some bool, err error) {
	if !lp.positioned {
		if err := lp.choosePosition(ctx); err != nil {
			return false, err
		}
	}
	if *cursor == nil {
		if *cursor, err = lp.live.b.log.Open(ctx, lp.live.topic, lp.partition, lp.end); err != nil {
			return false, err
		}
	}
	recs, err := (*cursor).Read(ctx, readBytes)
	if len(recs) > 0 {
		lp.add(recs)
	}
	var damage *infra.DamageError
	if errors.As(err, &damage) {
		bounds, err := lp.live.b.log.Bounds(ctx, lp.live.topic, time.Time{})
		if err != nil {
			return false, err
		}
		if to := min(damage.Offsets.To, bounds[lp.partition].End); to > lp.end {
			lp.restart(to)
			return true, nil
		}
	}
	return len(recs) > 0, err
}

// choosePosition decides where reading begins, and begins the waiting claims.
func (lp *livePart) choosePosition(ctx context.Context) error {
	bounds, err := lp.live.b.log.Bounds(ctx, lp.live.topic, time.Time{})
	if err != nil {
		return err
	}
	b := bounds[lp.partition]
	lp.mu.Lock()
	from := b.End
	for f := range lp.waiting {
		if f.next < b.End {
			from = max(b.Oldest, b.End-liveBack)
		}
	}
	lp.positioned, lp.from, lp.end = true, from, from
	waiting := lp.waiting
	lp.waiting = nil
	lp.mu.Unlock()
	for f := range waiting {
		f.joinOrCatchUp()
	}
	return nil
}

// add adds new records, and wakes the claims that want some of them.
func (lp *livePart) add(recs []*infra.Record) {
	var woken []*follower
	lp.mu.Lock()
	limit := int(lp.maxBytes.Load())
	if at := recs[0].Offset; at < lp.end {
		woken = lp.truncate(at)
	}
	for _, rec := range recs {
		e := &entry{rec: rec, number: lp.read}
		lp.read++
		lp.entries = append(lp.entries, e)
		lp.bytes += entrySize(rec)
		lp.end = rec.Offset + 1
		lp.live.index.each(e, func(s *subscription) {
			if f := lp.followers[s]; f != nil && rec.Offset >= f.next && f.addWanted(recordRef{rec.Offset, e.number}) {
				woken = append(woken, f)
			}
		})
	}
	for lp.bytes > limit && lp.head < len(lp.entries)-1 {
		lp.drop()
	}
	if lp.head > len(lp.entries)/2 {
		rest := copy(lp.entries, lp.entries[lp.head:])
		clear(lp.entries[rest:])
		lp.entries, lp.head = lp.entries[:rest], 0
	}
	lp.mu.Unlock()
	lp.live.scheduleKeep()
	for _, f := range woken {
		f.claim.sub.runner.ready(f)
	}
}

// drop removes the oldest records. The caller holds mu.
func (lp *livePart) drop() {
	e := lp.entries[lp.head]
	lp.entries[lp.head] = nil
	lp.head++
	lp.bytes -= entrySize(e.rec)
	lp.from = e.rec.Offset + 1
}

// restart continues at an offset behind a gap. Claims before the gap read it for
// themselves.
func (lp *livePart) restart(at int64) {
	lp.mu.Lock()
	for lp.head < len(lp.entries) {
		lp.drop()
	}
	var late []*follower
	for _, f := range lp.followers {
		if now := f.position(); now.offset < at && f.resumeAt == noRecord {
			f.resumeAt = recordRef{max(f.next, lp.end), lp.read}
			late = append(late, f)
		}
	}
	lp.from, lp.end = at, at
	lp.mu.Unlock()
	for _, f := range late {
		f.claim.sub.runner.ready(f)
	}
}

// truncate goes back to an offset: the partition has lost its end, and records from there
// on are new. It returns the claims at the live end, which must go back too. Other claims
// do so when they join. The caller holds mu.
func (lp *livePart) truncate(at int64) (all []*follower) {
	lp.live.b.cfg.Logger.Error("the partition has become shorter: its end was lost; reading continues with new records",
		slog.String("topic", lp.live.topic), slog.Int("partition", int(lp.partition)), slog.Int64("read", lp.end), slog.Int64("end", at))
	for lp.head < len(lp.entries) {
		lp.drop()
	}
	lp.from, lp.end = at, at
	lp.truncations = append(lp.truncations, at)
	for _, f := range lp.followers {
		f.wanted, f.resumeAt = nil, recordRef{at, lp.read}
		all = append(all, f)
	}
	return all
}

// indexOf is the index in entries of the first one from offset on. The caller holds mu.
func (lp *livePart) indexOf(offset int64) int {
	here := lp.entries[lp.head:]
	i, _ := slices.BinarySearchFunc(here, offset, func(e *entry, at int64) int { return cmp.Compare(e.rec.Offset, at) })
	return lp.head + i
}

// numberAt is the number of the first record from offset on. The caller holds mu.
func (lp *livePart) numberAt(offset int64) int64 {
	if i := lp.indexOf(offset); i < len(lp.entries) {
		return lp.entries[i].number
	}
	return lp.read
}
