package pubsub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// Bounds implements infra.Broker.
func (b *broker) Bounds(ctx context.Context, topic string, since time.Time) (map[int32]infra.Bounds, error) {
	if err := b.usable(ctx); err != nil {
		return nil, err
	}
	bounds, err := b.log.Bounds(ctx, topic, since)
	return bounds, missing(topic, err)
}

// Place implements infra.Broker.
func (b *broker) Place(ctx context.Context, topic, key string) (int32, error) {
	if err := b.usable(ctx); err != nil {
		return 0, err
	}
	n, err := b.partitionsOf(ctx, topic)
	if err != nil {
		return 0, err
	}
	return partitionFor([]byte(key), n), nil
}

const (
	scanBytes    = 512 << 10
	scanPause    = 250 * time.Millisecond // before the next try
	scanPatience = 10 * time.Second       // for how long
)

// Scan implements infra.Broker. Damaged records are skipped. The error says so when
// everything else was read; for a range without an end the log says so.
func (b *broker) Scan(ctx context.Context, topic string, ranges map[int32]infra.Range, f func(m *message.Message, at time.Time) error) error {
	if err := b.usable(ctx); err != nil {
		return err
	}
	s := scan{b: b, topic: topic, f: f}
	defer s.close()
	for _, p := range slices.Sorted(maps.Keys(ranges)) {
		if r := ranges[p]; r.From < r.To {
			s.parts = append(s.parts, &scanPart{partition: p, next: r.From, to: r.To})
		}
	}
	return s.run(ctx)
}

// scan reads ranges of a topic.
type scan struct {
	b      *broker
	topic  string
	f      func(m *message.Message, at time.Time) error
	parts  []*scanPart // that are not read to their end
	failed time.Time   // since when nothing but errors came; zero: the last round was good
	damage []error
}

// scanPart is one partition of a scan.
type scanPart struct {
	partition int32
	next, to  int64
	cursor    infra.Cursor // nil: not open
}

func (s *scan) close() {
	for _, p := range s.parts {
		p.close()
	}
}

func (p *scanPart) close() {
	if p.cursor != nil {
		p.cursor.Close()
		p.cursor = nil
	}
}

// callerError is what the caller's function returned.
type callerError struct{ error }

func (s *scan) run(ctx context.Context) error {
	for len(s.parts) > 0 {
		read, err := s.round(ctx)
		var own callerError
		switch {
		case errors.As(err, &own):
			return own.error
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			if err := s.backOff(ctx, err); err != nil {
				return err
			}
			continue
		}
		s.failed = time.Time{}
		if !read && len(s.parts) > 0 {
			if err := s.wait(ctx); err != nil {
				return err
			}
		}
	}
	return errors.Join(s.damage...)
}

// backOff waits after an error. It returns an error that lasts.
func (s *scan) backOff(ctx context.Context, err error) error {
	if s.failed.IsZero() {
		s.failed = time.Now()
	}
	if errors.Is(err, infra.ErrNoTopic) || errors.Is(err, ErrClosed) || time.Since(s.failed) >= scanPatience {
		return fmt.Errorf("read topic %s: %w", s.topic, err)
	}
	t := time.NewTimer(scanPause)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// round reads from each partition once. A range with an end is finished where there are no
// more records.
func (s *scan) round(ctx context.Context) (read bool, err error) {
	for _, p := range s.parts {
		n, err := s.readOne(ctx, p)
		if err != nil {
			return read, err
		}
		read = read || n > 0
		if n == 0 && p.to < infra.Forever || p.next >= p.to {
			p.close()
			p.next = p.to
		}
	}
	s.parts = slices.DeleteFunc(s.parts, func(p *scanPart) bool { return p.next >= p.to })
	return read, nil
}

// readOne returns how many offsets it has moved.
func (s *scan) readOne(ctx context.Context, p *scanPart) (n int64, err error) {
	if p.cursor == nil {
		if p.cursor, err = s.b.log.Open(ctx, s.topic, p.partition, p.next); err != nil {
			return 0, missing(s.topic, err)
		}
	}
	from := p.next
	limit := scanBytes
	if p.to-p.next == 1 {
		limit = 1
	}
	recs, err := p.cursor.Read(ctx, limit)
	for _, rec := range recs {
		if rec.Offset >= p.to {
			p.next = p.to
			break
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := s.f(read(rec), rec.Time); err != nil {
			return 0, callerError{err}
		}
		p.next = rec.Offset + 1
	}
	var d *infra.DamageError
	if errors.As(err, &d) {
		s.skipDamage(d, p)
		return max(p.next-from, 1), nil
	}
	if err != nil {
		p.close()
	}
	return p.next - from, err
}

func (s *scan) skipDamage(d *infra.DamageError, p *scanPart) {
	p.next = max(p.next, d.Offsets.To)
	if p.to < infra.Forever {
		s.damage = append(s.damage, d)
		return
	}
	s.b.cfg.Logger.Error("records cannot be read and are passed over", slog.String("topic", s.topic), slog.Int("partition", int(d.Partition)),
		slog.Int64("from", d.Offsets.From), slog.Int64("to", d.Offsets.To), slog.String("file", d.File), slog.Any("error", d.Err))
}

// wait returns when one of the partitions may have more records. All their ranges are
// without an end.
func (s *scan) wait(ctx context.Context) error {
	cases := make([]reflect.SelectCase, 0, len(s.parts)+1)
	for _, p := range s.parts {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(p.cursor.More())})
	}
	cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())})
	reflect.Select(cases)
	return ctx.Err()
}
