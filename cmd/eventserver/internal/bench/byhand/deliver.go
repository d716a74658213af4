package byhand

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	attemptTimeout = 30 * time.Second
	again          = time.Second // after a failure
)

// event is an accepted event.
type event struct {
	id     string // the same at every delivery of it
	user   string
	body   []byte
	offset int64
	log    *log
}

// destination delivers the events of each user one after the other.
type destination struct {
	number      int // of its window in a log
	url         string
	concurrency int
	batch       int
	client      *http.Client
	ctx         context.Context // of the attempts
	attempts    sync.WaitGroup
	mu          sync.Mutex
	queues      map[string]*queue
	ready       []*queue // have events and no attempt under way
	workers     int
	stopped     bool
}

// queue is the undelivered events of one user.
type queue struct {
	user   string
	events []*event
	taken  int // how many of the first are in the attempt under way
}

func newDestination(ctx context.Context, number int, url string, cfg Config) *destination {
	t := &http.Transport{MaxIdleConnsPerHost: cfg.Concurrency, IdleConnTimeout: 90 * time.Second, DisableCompression: true}
	return &destination{
		number: number, url: url, concurrency: cfg.Concurrency, batch: max(1, cfg.Batch), ctx: ctx,
		client: &http.Client{Transport: t, Timeout: attemptTimeout}, queues: map[string]*queue{},
	}
}

// add takes an event in. It does not block.
func (d *destination) add(e *event) {
	e.log.windows[d.number].begin(e.offset)
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.queues[e.user]
	if q == nil {
		q = &queue{user: e.user}
		d.queues[e.user] = q
		d.enqueue(q)
	}
	q.events = append(q.events, e)
}

// enqueue makes a queue ready and sees that somebody takes it. d.mu is held.
func (d *destination) enqueue(q *queue) {
	d.ready = append(d.ready, q)
	if d.workers < d.concurrency && !d.stopped {
		d.workers++
		d.attempts.Go(d.work)
	}
}

// work makes attempts until no queue is ready.
func (d *destination) work() {
	var queues []*queue
	var events []*event
	for {
		if queues, events = d.take(queues[:0], events[:0]); len(events) == 0 {
			return
		}
		if d.post(events) != nil {
			failed := append([]*queue(nil), queues...)
			time.AfterFunc(again, func() { d.release(failed, false) })
			continue
		}
		for _, e := range events {
			e.log.windows[d.number].end(e.offset)
		}
		d.release(queues, true)
	}
}

// take returns the events of the next attempt and their queues.
func (d *destination) take(queues []*queue, events []*event) ([]*queue, []*event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(events) < d.batch && len(d.ready) > 0 && !d.stopped {
		q := d.ready[0]
		d.ready = d.ready[1:]
		q.taken = min(d.batch-len(events), len(q.events))
		queues, events = append(queues, q), append(events, q.events[:q.taken]...)
	}
	if len(events) == 0 {
		d.workers--
	}
	return queues, events
}

// release gives queues back after an attempt.
func (d *destination) release(queues []*queue, done bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range queues {
		if done {
			q.events = q.events[q.taken:]
		}
		if len(q.events) == 0 {
			delete(d.queues, q.user)
		} else {
			d.enqueue(q)
		}
	}
}

// post makes one attempt.
func (d *destination) post(events []*event) error {
	body := events[0].body
	if d.batch > 1 {
		body = append(make([]byte, 0, len(events)*(len(body)+64)), '[')
		for i, e := range events {
			if i > 0 {
				body = append(body, ',')
			}
			body = append(fmt.Appendf(body, `{"id":%q,"data":`, e.id), e.body...)
			body = append(body, '}')
		}
		body = append(body, ']')
	}
	req, err := http.NewRequestWithContext(d.ctx, http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Webhook-Id", events[0].id)
	resp, err := d.client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	err = errors.Join(err, resp.Body.Close())
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the receiver answered %s", resp.Status)
	}
	return err
}

// stop begins no attempt any more.
func (d *destination) stop() {
	d.mu.Lock()
	d.stopped = true
	d.mu.Unlock()
}

// wait returns when the attempts under way have ended.
func (d *destination) wait() {
	d.attempts.Wait()
	d.client.CloseIdleConnections()
}
