package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/infra"
)

// readCommitted is the isolation level that leaves out records of aborted and of open
// transactions.
const readCommitted = 1

// fetches reads behind the live ends of partitions. Questions to a leader that come while
// it answers travel together in the next request.
type fetches struct {
	log *Log

	mu      sync.Mutex
	queues  map[int32][]*partitionFetch // by leader; there while a goroutine works on it
	working sync.WaitGroup
}

// partitionFetch asks for the records of a partition from an offset on.
type partitionFetch struct {
	ctx       context.Context
	info      *topicInfo
	topic     string // logical
	partition int32
	offset    int64
	bytes     int32
	answer    chan fetchResult
}

// fetchResult are the records of a partition from an offset on.
type fetchResult struct {
	records []*infra.Record
	next    int64 // behind the last record, or behind skipped ones
	end     int64 // of the committed records
	others  bool  // some of the records are another producer's
	err     error
}

const (
	maxFetchBytes = 16 << 20 // bytes of one answer, and at least one batch
	fetchTries    = 25
	fetchPause    = 200 * time.Millisecond
)

func (f *fetches) init(l *Log) { f.log, f.queues = l, map[int32][]*partitionFetch{} }

// close waits for running requests. The client is closed.
func (f *fetches) close() { f.working.Wait() }

// fetch reads. It asks again while the partition moves. The error wraps kerr's
// OffsetOutOfRange where offset is not in the partition.
func (f *fetches) fetch(ctx context.Context, topic string, partition int32, offset int64, bytes int) (out fetchResult) {
	real := f.log.cfg.Topic(topic)
	for try := 1; ; try++ {
		out = f.once(ctx, real, topic, partition, offset, bytes)
		if out.err == nil || errors.Is(out.err, kerr.OffsetOutOfRange) || errors.Is(out.err, infra.ErrNoTopic) || try == fetchTries || ctx.Err() != nil || f.log.closed.Load() {
			return out
		}
		f.log.topics.forget(real)
		if err := pause(ctx, fetchPause); err != nil {
			return fetchResult{err: err}
		}
	}
}

func (f *fetches) once(ctx context.Context, real, topic string, partition int32, offset int64, bytes int) fetchResult {
	info, err := f.log.topics.partition(ctx, real, partition)
	if err != nil {
		return fetchResult{err: err}
	}
	leader := info.leaders[partition]
	if leader < 0 {
		return fetchResult{err: fmt.Errorf("topic %s, partition %d: %w", real, partition, kerr.LeaderNotAvailable)}
	}
	request := &partitionFetch{ctx: ctx, info: info, topic: topic, partition: partition, offset: offset, bytes: int32(min(bytes, maxFetchBytes)), answer: make(chan fetchResult, 1)}
	if !f.queue(leader, request) {
		return fetchResult{err: ErrClosed}
	}
	select {
	case out := <-request.answer:
		return out
	case <-ctx.Done():
		return fetchResult{err: ctx.Err()}
	}
}

func (f *fetches) queue(leader int32, request *partitionFetch) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.log.closed.Load() {
		return false
	}
	queue, working := f.queues[leader]
	f.queues[leader] = append(queue, request)
	if !working {
		f.working.Go(func() { f.work(leader) })
	}
	return true
}

// work asks the leader until there are no more questions.
func (f *fetches) work(leader int32) {
	for {
		f.mu.Lock()
		requests := f.queues[leader]
		if len(requests) == 0 {
			delete(f.queues, leader)
			f.mu.Unlock()
			return
		}
		f.queues[leader] = []*partitionFetch{}
		f.mu.Unlock()
		var unanswered []*partitionFetch
		for len(requests) > 0 {
			requests, unanswered = f.round(leader, requests)
			requests = append(unanswered, requests...)
		}
	}
}

// round asks for each partition once. later are requests for a partition that is asked
// for at another offset, and unanswered are those that did not fit into the answer.
func (f *fetches) round(leader int32, requests []*partitionFetch) (later, unanswered []*partitionFetch) {
	sent := map[topicPartition]*partitionFetch{}
	ids := map[[16]byte]string{}
	req := newFetch()
	for _, a := range requests {
		at := topicPartition{a.info.real, a.partition}
		switch {
		case a.ctx.Err() != nil:
			a.answer <- fetchResult{err: a.ctx.Err()}
		case sent[at] != nil:
			later = append(later, a)
		default:
			sent[at], ids[a.info.id] = a, a.info.real
			req.add(a.info, a.partition, a.offset, a.bytes)
		}
	}
	if len(sent) == 0 {
		return later, nil
	}
	resp, err := f.log.request(f.log.client, leader, req.FetchRequest)
	for i := 0; err == nil && i < len(resp.Topics); i++ {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			at := topicPartition{nameOf(t, ids), p.Partition}
			a := sent[at]
			if a == nil {
				continue
			}
			delete(sent, at)
			out := decode(a.info.real, a.topic, a.offset, p, 0)
			if out.err == nil && len(out.records) == 0 && out.next <= a.offset && a.offset < out.end {
				unanswered = append(unanswered, a)
				continue
			}
			a.answer <- out
		}
	}
	if err == nil {
		err = errors.New("the answer is not complete")
	}
	for at, a := range sent {
		a.answer <- fetchResult{err: fmt.Errorf("topic %s, partition %d: %w", at.topic, at.partition, err)}
	}
	return later, unanswered
}

// topicPartition is a partition by its topic's real name.
type topicPartition struct {
	topic     string
	partition int32
}

// fetchRequest is a fetch request under construction.
type fetchRequest struct {
	*kmsg.FetchRequest

	topics map[string]int // places in Topics
}

func newFetch() fetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MinBytes, req.MaxBytes, req.IsolationLevel = 1, maxFetchBytes, readCommitted
	return fetchRequest{req, map[string]int{}}
}

// add adds a partition. Partitions of a topic may come in any order.
func (r fetchRequest) add(info *topicInfo, partition int32, offset int64, bytes int32) {
	n, known := r.topics[info.real]
	if !known {
		n = len(r.Topics)
		r.topics[info.real] = n
		t := kmsg.NewFetchRequestTopic()
		t.Topic, t.TopicID = info.real, info.id
		r.Topics = append(r.Topics, t)
	}
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, bytes
	r.Topics[n].Partitions = append(r.Topics[n].Partitions, p)
}

// nameOf is the topic of an answer. Newer versions have only its id.
func nameOf(t *kmsg.FetchResponseTopic, ids map[[16]byte]string) string {
	if t.Topic != "" {
		return t.Topic
	}
	return ids[t.TopicID]
}

// request sends a request to one broker.
func (l *Log) request(client *kgo.Client, broker int32, req *kmsg.FetchRequest) (*kmsg.FetchResponse, error) {
	answer, err := client.Broker(int(broker)).Request(l.ctx, req)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.FetchResponse)
	return resp, kerr.ErrorForCode(resp.ErrorCode)
}

// decode makes records of a partition's answer. own is the producer of this process.
func decode(real, topic string, offset int64, p *kmsg.FetchResponseTopicPartition, own int64) fetchResult {
	if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
		return fetchResult{err: fmt.Errorf("topic %s, partition %d: %w", real, p.Partition, err)}
	}
	out := fetchResult{next: offset, end: p.LastStableOffset}
	if out.end < 0 {
		out.end = p.HighWatermark
	}
	if len(p.RecordBatches) == 0 {
		return out
	}
	got, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: offset, IsolationLevel: kgo.ReadCommitted(), Topic: topic, Partition: p.Partition,
	}, p, kgo.DefaultDecompressor(), nil)
	out.next = max(next, offset)
	if len(got.Records) > 0 {
		out.records = make([]*infra.Record, len(got.Records))
		all := make([]infra.Record, len(got.Records))
		for i, r := range got.Records {
			fill(&all[i], topic, r)
			out.others = out.others || r.ProducerID != own
			out.records[i] = &all[i]
		}
		out.next = max(out.next, got.Records[len(got.Records)-1].Offset+1)
	} else if got.Err != nil {
		out.err = fmt.Errorf("topic %s, partition %d, offset %d: %w", real, p.Partition, out.next, got.Err)
	}
	return out
}

// fill copies a record into its own memory, so that a record that is held for long does not
// hold the whole answer.
func fill(rec *infra.Record, topic string, r *kgo.Record) {
	size := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		size += len(h.Key) + len(h.Value)
	}
	all := make([]byte, 0, size)
	piece := func(b []byte) []byte {
		from := len(all)
		all = append(all, b...)
		return all[from:len(all):len(all)]
	}
	*rec = infra.Record{Topic: topic, Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp, Key: piece(r.Key), Value: piece(r.Value)}
	if len(r.Headers) > 0 {
		rec.Headers = make([]infra.Header, len(r.Headers))
		for i, h := range r.Headers {
			from := len(all)
			all = append(all, h.Key...)
			rec.Headers[i] = infra.Header{Key: all[from:len(all):len(all)], Value: piece(h.Value)}
		}
	}
}

// sizeOf is the memory of a record.
func sizeOf(rec *infra.Record) int {
	size := len(rec.Key) + len(rec.Value)
	for _, h := range rec.Headers {
		size += len(h.Key) + len(h.Value)
	}
	return size
}
