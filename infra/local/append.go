package local

import (
	"context"
	"fmt"

	"eventserver/infra"
)

// Append implements infra.LogRecords. The batch is stored whole or not at all.
func (l *Log) Append(ctx context.Context, b infra.Batch) error {
	if err := l.writable(); err != nil {
		return err
	}
	if len(b.Records)+len(b.Progress) == 0 {
		return ctx.Err()
	}
	r := newRequest()
	r.records, r.durable = b.Records, b.Durability == infra.Durable
	var p *partition
	for _, rec := range b.Records {
		if p == nil || p.n != rec.Partition || p.topic.name != rec.Topic {
			var err error
			if p, err = l.partition(rec.Topic, rec.Partition); err != nil {
				r.recycle()
				return err
			}
		}
		n := recordSize(rec)
		if r.bytes += n; n > l.cfg.MaxRecordBytes {
			r.recycle()
			return fmt.Errorf("local: topic %s: %w: %d bytes, at most %d", rec.Topic, infra.ErrTooLarge, n, l.cfg.MaxRecordBytes)
		}
		r.parts = append(r.parts, p)
	}
	if err := l.groups.resolve(r, b.Progress); err != nil {
		r.recycle()
		return err
	}
	return l.do(ctx, r)
}

// do gives a request to the committer. When ctx ends before the committer has taken it,
// nothing is stored.
func (l *Log) do(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		r.recycle()
		return err
	}
	if err := l.queue.add(r); err != nil {
		r.recycle()
		return err
	}
	var err error
	select {
	case err = <-r.done:
	case <-ctx.Done():
		if r.state.CompareAndSwap(stateQueued, stateAbandoned) {
			return ctx.Err() // the committer lets it fall
		}
		err = <-r.done
	}
	r.recycle()
	return err
}
