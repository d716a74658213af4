package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// scan reads ranges of a topic. It asks each leader for all of its partitions
// in one request: sarama's own consumer has a connection's long polls wait for
// each other, and cannot tell the end of a partition whose last offsets are a
// transaction's marks.
type scan struct {
	client sarama.Client
	log    *slog.Logger
	topic  string // real
	ranges map[int32]infra.Range
	f      func(m *message.Message, at time.Time) error
	next   map[int32]int64 // offset to read next, of what is not read to its end
	failed time.Time       // since when rounds fail; zero: the last one did not
}

const (
	scanWait      = 250 * time.Millisecond // longest wait of a fetch that finds nothing new
	scanPause     = 250 * time.Millisecond // before what failed is tried again
	scanPatience  = 10 * time.Second       // for how long: a partition whose leader is gone needs a new one
	scanBytes     = 4 << 20
	scanPartition = 512 << 10
)

// callerError is what the caller's function returned.
type callerError struct{ error }

func (s *scan) run(ctx context.Context) error {
	for len(s.next) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.round(ctx)
		var own callerError
		switch {
		case errors.As(err, &own):
			return own.error
		case err == nil:
			s.failed = time.Time{}
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		}
		if s.failed.IsZero() {
			s.failed = time.Now()
		} else if time.Since(s.failed) >= scanPatience {
			return fmt.Errorf("read topic %s: %w", s.topic, err)
		}
		t := time.NewTimer(scanPause)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
		_, _ = inContext(ctx, func() (struct{}, error) { return struct{}{}, s.client.RefreshMetadata(s.topic) }) // its error is the next round's
	}
	return nil
}

// round asks every leader once.
func (s *scan) round(ctx context.Context) error {
	leaders := map[*sarama.Broker]*sarama.FetchRequest{}
	for p, offset := range s.next {
		leader, err := inContext(ctx, func() (*sarama.Broker, error) { return s.client.Leader(s.topic, p) })
		if err != nil {
			return err
		}
		if leaders[leader] == nil {
			leaders[leader] = &sarama.FetchRequest{Version: 11, MinBytes: 1, MaxBytes: scanBytes, SessionEpoch: -1} // no fetch session
		}
		most := int32(scanPartition)
		if r := s.ranges[p]; r.To-offset == 1 { // the broker sends one batch whatever the limit
			most = 1
		}
		leaders[leader].AddBlock(s.topic, p, offset, most, -1)
	}
	for leader, req := range leaders {
		req.MaxWaitTime = int32((scanWait / time.Duration(len(leaders))).Milliseconds())
		resp, err := inContext(ctx, func() (*sarama.FetchResponse, error) { return leader.Fetch(req) })
		if err != nil {
			if ctx.Err() == nil {
				_ = leader.Close() // the client opens it again
			}
			return err
		}
		if err := s.take(ctx, resp); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) take(ctx context.Context, resp *sarama.FetchResponse) error {
	if resp.ErrorCode != int16(sarama.ErrNoError) {
		return sarama.KError(resp.ErrorCode)
	}
	for p, block := range resp.Blocks[s.topic] {
		if errors.Is(block.Err, sarama.ErrOffsetOutOfRange) {
			if err := s.reposition(ctx, p); err != nil {
				return err
			}
			continue
		}
		if !errors.Is(block.Err, sarama.ErrNoError) {
			return fmt.Errorf("partition %d: %w", p, block.Err)
		}
		for _, records := range block.RecordsSet {
			if records.RecordBatch == nil {
				return fmt.Errorf("partition %d has records in the format of Kafka before 0.11", p)
			}
			if err := s.batch(ctx, p, records.RecordBatch); err != nil {
				return err
			}
		}
	}
	return nil
}

// batch hands over the messages of one batch, as far as they are in the range.
func (s *scan) batch(ctx context.Context, p int32, b *sarama.RecordBatch) error {
	to := s.ranges[p].To
	for _, rec := range b.Records {
		next, reading := s.next[p]
		offset := b.FirstOffset + rec.OffsetDelta
		if !reading || offset >= to {
			break
		}
		if offset < next || b.Control {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		at := b.FirstTimestamp.Add(rec.TimestampDelta)
		if b.LogAppendTime {
			at = b.MaxTimestamp
		}
		m := marshaler{}.unmarshal(s.topic, &sarama.ConsumerMessage{Topic: s.topic, Partition: p, Offset: offset, Key: rec.Key, Value: rec.Value, Headers: rec.Headers})
		if err := s.f(m, at); err != nil {
			return callerError{err}
		}
		s.passed(p, offset+1)
	}
	if !b.PartialTrailingRecord {
		s.passed(p, b.LastOffset()+1) // of a batch that ends in gaps
	}
	return nil
}

// passed notes that p is read up to offset.
func (s *scan) passed(p int32, offset int64) {
	if next, reading := s.next[p]; !reading || offset <= next {
		return
	}
	s.next[p] = offset
	if offset >= s.ranges[p].To {
		delete(s.next, p)
	}
}

// reposition goes to the oldest record when the next one was deleted, or to the
// end when the partition is shorter than it was.
func (s *scan) reposition(ctx context.Context, p int32) error {
	b, err := inContext(ctx, func() (b infra.Bounds, err error) {
		if b.Oldest, err = s.client.GetOffset(s.topic, p, sarama.OffsetOldest); err == nil {
			b.End, err = s.client.GetOffset(s.topic, p, sarama.OffsetNewest)
		}
		return b, err
	})
	if err != nil {
		return err
	}
	next := s.next[p]
	s.log.Warn("records were deleted before they could be read; reading goes on with those that are there",
		slog.String("topic", s.topic), slog.Int("partition", int(p)), slog.Int64("next", next), slog.Int64("oldest", b.Oldest), slog.Int64("end", b.End))
	switch {
	case next < b.Oldest:
		s.passed(p, b.Oldest)
	case next > b.End && s.ranges[p].To < infra.Forever:
		delete(s.next, p) // what is asked for is not there any more
	case next > b.End:
		s.next[p] = b.End
	}
	return nil
}
