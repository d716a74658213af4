package router

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// Ordered decorates a subscriber that delivers in order, so that at most one
// message of a key is in the handler and the others of that key wait behind
// it; other keys go on. A Nack is redelivered in place: the key stays blocked
// until the message is acked. It is a decorator, not a middleware, because a
// middleware no longer sees the order of arrival.
//
// The handler must not change a message's metadata: a redelivery shares it.
type Ordered struct {
	sub      infra.Subscriber
	pause    time.Duration // before an in-place redelivery
	grouping Grouping

	mu       sync.Mutex
	keys     map[string]*keyQueue
	held     int // messages not settled
	draining bool
	drained  chan struct{} // closed by Drain
	settled  chan struct{} // closed when draining and nothing is held
	open     *group        // gathering; nil: none
	sealed   []*group      // gathered, and not yet in the handler
	flying   int           // groups in the handler
	wg       sync.WaitGroup
}

// keyQueue is what one key has: the message in the handler and those behind.
type keyQueue struct {
	current *message.Message
	waiting []*message.Message
	group   *group             // that current is in; nil: none
	apart   []*message.Message // came apart: they go before waiting, one by one
	blocked time.Time          // since when something waits behind current; stale when nothing does
	nacked  bool               // current was sent back by the handler, and is tried again
}

// nackPause keeps a handler that nacks at once from spinning.
const nackPause = 100 * time.Millisecond

// NewOrdered decorates sub. It settles every message by infra.Settle, so that sub
// is best opened with Receipts.
func NewOrdered(sub infra.Subscriber, grouping Grouping) *Ordered {
	return &Ordered{sub: sub, pause: nackPause, grouping: grouping, keys: map[string]*keyQueue{},
		drained: make(chan struct{}), settled: make(chan struct{})}
}

var _ infra.Subscriber = (*Ordered)(nil)

// Subscribe implements message.Subscriber.
func (o *Ordered) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	in, err := o.sub.Subscribe(ctx, topic)
	if err != nil {
		return nil, err
	}
	out := make(chan *message.Message)
	o.wg.Go(func() {
		var workers sync.WaitGroup
		for msg := range in {
			o.arrive(msg, out, &workers)
		}
		o.flush()
		workers.Wait()
		close(out)
	})
	return out, nil
}

// arrive takes one message in its place.
func (o *Ordered) arrive(msg *message.Message, out chan<- *message.Message, workers *sync.WaitGroup) {
	key := orderKey(msg)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.draining {
		infra.Settle(msg, false)
		return
	}
	o.held++
	q, busy := o.keys[key]
	if busy && !o.joins(q, msg) {
		if len(q.waiting) == 0 {
			q.blocked = time.Now()
		}
		q.waiting = append(q.waiting, msg)
		return
	}
	if !busy {
		q = &keyQueue{current: msg}
		o.keys[key] = q
	}
	if o.grouping.on() {
		o.gather(key, q, msg, out, workers)
		return
	}
	workers.Go(func() { o.work(key, q, out, workers) })
}

// work hands out the messages of one key, one after the other, until none is
// left or those that are may go in a group again.
func (o *Ordered) work(key string, q *keyQueue, out chan<- *message.Message, workers *sync.WaitGroup) {
	msg := q.current
	for {
		infra.Settle(msg, o.handle(msg, out))
		o.mu.Lock()
		o.release(1)
		if len(q.waiting) == 0 {
			delete(o.keys, key)
			o.mu.Unlock()
			return
		}
		if _, alone := cameApart(q.waiting[0].Context()); o.grouping.on() && !alone {
			o.proceed(key, q, out, workers)
			o.mu.Unlock()
			return
		}
		msg = o.next(q)
		o.mu.Unlock()
	}
}

// release counts n messages as settled. The caller holds mu.
func (o *Ordered) release(n int) {
	o.held -= n
	if o.draining && o.held == 0 && n > 0 { // arrive holds nothing more: once
		close(o.settled)
	}
}

// handle passes one message to the handler until it is acked. It returns false
// when the message must go back: its claim ended, or we drain.
func (o *Ordered) handle(msg *message.Message, out chan<- *message.Message) bool {
	ctx := msg.Context()
	for first := true; ; first = false {
		if ctx.Err() != nil {
			return false
		}
		select { // first, because select below picks any that is ready
		case <-o.drained:
			return false
		default:
		}
		try := msg
		if !first || !infra.HasReceipt(msg) { // a verdict on msg itself would be final, or is spent
			try = message.NewMessage(msg.UUID, msg.Payload)
			try.Metadata = msg.Metadata
			try.SetContext(ctx) // it ends when msg is settled, which is as soon as this is acked
		}
		select {
		case out <- try:
		case <-ctx.Done():
			return false
		case <-o.drained:
			return false
		}
		select { // the handler watches ctx itself: wait for its verdict, whatever happened
		case <-try.Acked():
			return true
		case <-try.Nacked():
		}
		o.refused(msg)
		select {
		case <-ctx.Done():
			return false
		case <-o.drained:
			return false
		case <-time.After(o.pause):
		}
	}
}

// Drain sends back what waits, lets the handlers finish what they hold, and
// returns when nothing is in flight or ctx ends.
func (o *Ordered) Drain(ctx context.Context) error {
	o.mu.Lock()
	if !o.draining {
		o.draining = true
		close(o.drained)
		if o.held == 0 {
			close(o.settled)
		}
	}
	for _, q := range o.keys {
		for _, msg := range q.waiting {
			infra.Settle(msg, false)
		}
		o.release(len(q.waiting))
		q.waiting = nil
	}
	o.disband()
	o.mu.Unlock()
	if err := o.sub.Drain(ctx); err != nil {
		return err
	}
	select { // a message is settled at sub a moment before it is counted here
	case <-o.settled:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Assigned implements infra.Subscriber.
func (o *Ordered) Assigned() bool { return o.sub.Assigned() }

// Stats implements infra.Subscriber.
func (o *Ordered) Stats() infra.Stats { return o.sub.Stats() }

// Deferred implements infra.Subscriber.
func (o *Ordered) Deferred(key string) int { return o.sub.Deferred(key) }

// Close implements message.Subscriber.
func (o *Ordered) Close() error {
	err := o.sub.Close()
	o.wg.Wait()
	return err
}

// OrderedState is what an Ordered looks like now.
type OrderedState struct {
	Held          int // messages not settled
	BlockedKeys   int
	OldestBlocked time.Time // zero: none
}

// State looks at every key. It is asked at each scrape.
func (o *Ordered) State() OrderedState {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := OrderedState{Held: o.held}
	for _, q := range o.keys {
		if len(q.waiting) == 0 {
			continue
		}
		s.BlockedKeys++
		if s.OldestBlocked.IsZero() || q.blocked.Before(s.OldestBlocked) {
			s.OldestBlocked = q.blocked
		}
	}
	return s
}

var errDraining = errors.New("draining: the event is delivered after the restart")
