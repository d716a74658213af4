package local

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"eventserver/infra"
)

const (
	// reclaimDelay is how soon the room of what was trimmed is given back: what is in
	// a memtable until then is not written at all.
	reclaimDelay = time.Second

	// A log idles that stores less than reclaimBusy bytes in reclaimIdle delays.
	reclaimIdle = 5
	reclaimBusy = 256 << 10

	// reclaimLeast is the room that is worth a compaction.
	reclaimLeast = 4 << 20
)

// reclaimer gives back the room of what was trimmed while the log idles. Pebble leaves
// tables in level 0 until there are enough of them, with what they hold of trimmed
// records. A busy log gets there soon, an idle one never.
type reclaimer struct {
	log    *Log
	stored atomic.Int64 // bytes, since the log was opened
	wake   chan struct{}
	cancel context.CancelFunc
	run    sync.WaitGroup

	mu    sync.Mutex
	spans map[reclaimSpan]infra.Span // what was trimmed
}

type reclaimSpan struct {
	topic     uint32
	partition int32
}

func (r *reclaimer) start(l *Log) {
	r.log = l
	r.wake = make(chan struct{}, 1)
	r.spans = map[reclaimSpan]infra.Span{}
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	r.run.Go(func() { r.loop(ctx) })
}

// stop leaves a compaction that runs to Pebble.
func (r *reclaimer) stop() {
	if r.cancel != nil { // it was started
		r.cancel()
		r.run.Wait()
	}
}

// trimmed notes that records of a partition are deleted.
func (r *reclaimer) trimmed(p *partition, what infra.Span) {
	r.note(reclaimSpan{p.topic.id, p.n}, what)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *reclaimer) note(s reclaimSpan, what infra.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if had, ok := r.spans[s]; ok {
		what = infra.Span{From: min(what.From, had.From), To: max(what.To, had.To)}
	}
	r.spans[s] = what
}

func (r *reclaimer) loop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		if !r.idles(ctx) {
			return
		}
		if err := r.reclaim(ctx); err != nil && ctx.Err() == nil {
			r.log.cfg.Logger.Warn("broker: the room of what was trimmed is not given back yet", slog.String("error", err.Error()))
		}
	}
}

// idles waits until the log does; false when the reclaimer is stopped.
func (r *reclaimer) idles(ctx context.Context) bool {
	timer := time.NewTicker(reclaimIdle * r.log.cfg.reclaim)
	defer timer.Stop()
	for before := r.stored.Load(); ; before = r.stored.Load() {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
		if r.stored.Load()-before < reclaimBusy {
			return true
		}
	}
}

// reclaim compacts what holds much of what was trimmed. A little stays noted: it may
// become more.
func (r *reclaimer) reclaim(ctx context.Context) error {
	r.mu.Lock()
	spans := r.spans
	r.spans = map[reclaimSpan]infra.Span{}
	r.mu.Unlock()
	held := uint64(0)
	for s, what := range spans {
		from, to := s.keys(what)
		n, err := r.log.db.EstimateDiskUsage(from, to)
		if err != nil {
			return err
		}
		if held += n; n == 0 {
			delete(spans, s)
		}
	}
	for s, what := range spans {
		if held < reclaimLeast {
			r.note(s, what)
			continue
		}
		from, to := s.keys(what)
		if err := r.log.db.Compact(ctx, from, to, false); err != nil {
			return err
		}
	}
	return nil
}

func (s reclaimSpan) keys(of infra.Span) (from, to []byte) {
	return appendRecordKey(nil, s.topic, s.partition, of.From), appendRecordKey(nil, s.topic, s.partition, of.To)
}
