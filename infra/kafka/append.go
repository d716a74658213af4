package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventserver/infra"
)

// producer gives records to the client, one call after the other. The order of the calls is
// the order in a partition, and times do not go back.
type producer struct {
	log *Log

	mu     sync.Mutex
	last   int64                    // time of the last record, in milliseconds
	ends   map[topicPartition]int64 // behind the last record that this process appended
	closed bool

	running sync.WaitGroup
}

func (p *producer) init(l *Log) { p.log, p.ends = l, map[topicPartition]int64{} }

// end is where a partition ended when this process appended to it last; 0: not since
// it was seen to end elsewhere.
func (p *producer) end(at topicPartition) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ends[at]
}

// forgetEnd records that a partition ends before its known end: it is a new one with the same
// name.
func (p *producer) forgetEnd(at topicPartition, end int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ends[at] == end {
		delete(p.ends, at)
	}
}

// Append implements infra.LogRecords. Everything is durable when it returns.
func (l *Log) Append(ctx context.Context, b infra.Batch) error {
	if err := l.usable(ctx); err != nil {
		return err
	}
	if err := l.producer.append(ctx, b.Records); err != nil {
		return err
	}
	return l.Keep(ctx, b.Progress...)
}

// batch is one running append.
type batch struct {
	log  *Log
	recs []*infra.Record

	mu        sync.Mutex
	remaining int
	done      chan struct{}
	failed    map[int]error // by the place in recs
}

func (p *producer) append(ctx context.Context, recs []*infra.Record) error {
	if len(recs) == 0 {
		return nil
	}
	for _, r := range recs { // all or nothing, as far as that is known before
		if _, err := p.log.topics.partition(ctx, p.log.cfg.Topic(r.Topic), r.Partition); err != nil {
			return err
		}
	}
	out := make([]kgo.Record, len(recs))
	for i, r := range recs {
		out[i] = kgo.Record{Topic: p.log.cfg.Topic(r.Topic), Partition: r.Partition, Key: r.Key, Value: r.Value}
		if len(r.Headers) > 0 {
			headers := make([]kgo.RecordHeader, len(r.Headers))
			for j, h := range r.Headers {
				headers[j] = kgo.RecordHeader{Key: string(h.Key), Value: h.Value}
			}
			out[i].Headers = headers
		}
	}
	b := &batch{log: p.log, recs: recs, remaining: len(recs), done: make(chan struct{})}
	if err := p.produce(ctx, out, b); err != nil {
		return err
	}
	<-b.done
	p.mu.Lock()
	for i := range out {
		at := topicPartition{out[i].Topic, out[i].Partition}
		p.ends[at] = max(p.ends[at], out[i].Offset+1)
	}
	p.mu.Unlock()
	return p.outcome(out, b)
}

// produce gives the records to the client. Records on their way are not abandoned when ctx
// ends, since it would not be known whether they are stored.
func (p *producer) produce(ctx context.Context, out []kgo.Record, b *batch) error {
	ctx = context.WithoutCancel(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	p.running.Add(1)
	p.last = max(p.last, time.Now().UnixMilli())
	at := time.UnixMilli(p.last)
	for i := range out {
		out[i].Timestamp = at
		p.log.client.Produce(ctx, &out[i], func(r *kgo.Record, err error) { b.handleResult(i, r, err) })
	}
	return nil
}

// handleResult handles the client's answer for one record, in the order of a partition.
func (b *batch) handleResult(i int, r *kgo.Record, err error) {
	if err == nil {
		b.recs[i].Offset, b.recs[i].Time = r.Offset, r.Timestamp
		b.log.followers.addOwn(topicPartition{r.Topic, r.Partition}, b.recs[i], r.ProducerID)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		if b.failed == nil {
			b.failed = map[int]error{}
		}
		b.failed[i] = err
	}
	if b.remaining--; b.remaining == 0 {
		close(b.done)
	}
}

// outcome is the error of an append. Behind a record that the cluster refused, the client
// fails every other record of the partition.
func (p *producer) outcome(out []kgo.Record, b *batch) error {
	p.running.Done()
	if len(b.failed) == 0 {
		return nil
	}
	var failed []int
	var first error
	for i := range out {
		err := b.failed[i]
		if err == nil {
			continue
		}
		failed = append(failed, i)
		if first == nil {
			first = p.refusal(&out[i], err)
		}
	}
	if len(failed) == len(out) {
		return first
	}
	return &infra.AppendError{Failed: failed, Err: first}
}

// refusal is the error of a record that was not stored, with what to do.
func (p *producer) refusal(r *kgo.Record, err error) error {
	switch {
	case errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge):
		return fmt.Errorf("%w: %w", infra.ErrTooLarge, err)
	case topicMissing(err):
		p.log.topics.forget(r.Topic)
		return fmt.Errorf("topic %s %w: %w", r.Topic, infra.ErrNoTopic, err)
	case errors.Is(err, kgo.ErrClientClosed):
		return ErrClosed
	}
	return err
}

// close waits for running appends, as long as the client tries.
func (p *producer) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.running.Wait()
}
