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
	// reclaimDelay is the time until the space of trimmed records is freed. Records that
	// are in a memtable until then are never written.
	reclaimDelay = time.Second

	// A log is idle if it stores less than reclaimBusy bytes in reclaimIdle delays.
	reclaimIdle = 5
	reclaimBusy = 256 << 10

	// reclaimMin is the minimum space for a compaction.
	reclaimMin = 4 << 20
)

// reclaimer frees the space of trimmed records while the log is idle. Pebble leaves tables
// with trimmed records in level 0 until there are enough of them. A busy log has enough
// soon, an idle one never.
type reclaimer struct {
	log         *Log
	storedBytes atomic.Int64 // bytes, since the log was opened
	wake        chan struct{}
	cancel      context.CancelFunc
	run         sync.WaitGroup

	mu    sync.Mutex
	spans map[reclaimSpan]infra.Span // trimmed records
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

// stop does not wait for a running compaction.
func (r *reclaimer) stop() {
	if r.cancel != nil { // it was started
		r.cancel()
		r.run.Wait()
	}
}

// addTrimmed records that records of a partition were deleted.
func (r *reclaimer) addTrimmed(p *partition, what infra.Span) {
	r.addSpan(reclaimSpan{p.topic.id, p.n}, what)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *reclaimer) addSpan(s reclaimSpan, what infra.Span) {
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
		if !r.waitIdle(ctx) {
			return
		}
		if err := r.reclaim(ctx); err != nil && ctx.Err() == nil {
			r.log.cfg.Logger.Warn("broker: the space of trimmed records is not free yet", slog.String("error", err.Error()))
		}
	}
}

// waitIdle waits until the log is idle. false: the reclaimer was stopped.
func (r *reclaimer) waitIdle(ctx context.Context) bool {
	timer := time.NewTicker(reclaimIdle * r.log.cfg.reclaim)
	defer timer.Stop()
	for before := r.storedBytes.Load(); ; before = r.storedBytes.Load() {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
		if r.storedBytes.Load()-before < reclaimBusy {
			return true
		}
	}
}

// reclaim compacts ranges with many trimmed records. A range with few is kept for later.
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
		if held < reclaimMin {
			r.addSpan(s, what)
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
