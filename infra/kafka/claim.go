package kafka

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/infra/progress"
)

// claim is the ownership of one partition in one group session. It hands out
// messages in offset order, many at once, and commits exactly what is done.
// Every message's context ends with the claim.
//
// One goroutine (run) hands out, so that the order of a key is the order of
// its calls. What is in flight is bounded: by messages, by bytes, and by
// messages of one key (see backfill.go).
type claim struct {
	sub       *subscription
	session   sarama.ConsumerGroupSession
	commits   *committer
	topic     string
	partition int32
	ctx       context.Context
	end       context.CancelFunc
	cut       context.CancelFunc // ends the attempts that are under way (infra.WithGrace)
	closing   context.Context    // ends when the subscription does

	gone    chan struct{} // closed when the handlers had their time: an ack no longer counts
	settled chan struct{} // signalled when something was settled

	// Of run alone.
	read     []*sarama.ConsumerMessage // fetched before the pause took effect
	paused   bool
	told     bool      // that the window is full
	backfill *backfill // nil: none is open
	begun    bool      // it has had a message
	made     made      // of infra.Resumed

	patience atomic.Int64 // how long the next pass waits after one that failed, in ns

	mu        sync.Mutex
	tracker   *progress.Tracker
	keys      map[string]*keyState // keys that have messages in flight or deferred
	behind    map[string]*keyState // those that have deferred ones
	dirty     bool
	messages  int // unacked
	bytes     int
	marked    int64         // last offset given to the session
	metadata  int           // bytes given with it
	overflown bool          // the last commit could not hold all that was done
	idle      chan struct{} // closed by the settlement that leaves nothing in flight, once finish waits
}

// flight is one message in flight.
type flight struct {
	rec    *sarama.ConsumerMessage
	key    string
	size   int
	cancel context.CancelFunc // ends the message's context
}

// newClaim makes the claim, whose work ends with the session and with closing.
func newClaim(closing context.Context, s *subscription, commits *committer, session sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) *claim {
	later, cut := context.WithCancel(context.WithoutCancel(session.Context()))
	ctx, end := context.WithCancel(infra.WithGrace(session.Context(), later))
	return &claim{
		sub: s, commits: commits, session: session, topic: c.Topic(), partition: c.Partition(), ctx: ctx, end: end, cut: cut, closing: closing,
		gone: make(chan struct{}), settled: make(chan struct{}, 1),
		tracker: s.resumed(ctx, c), marked: c.InitialOffset(),
		keys: map[string]*keyState{}, behind: map[string]*keyState{},
	}
}

// run reads until the claim ends. It always receives, because a cooperative
// rebalance tells of itself by closing in; when the window is full it pauses
// the fetching instead, and keeps what was fetched before.
func (c *claim) run(in <-chan *sarama.ConsumerMessage) {
	defer c.closeBackfill()
	stop := c.sub.flights.Draining()
	for c.ctx.Err() == nil {
		c.openBackfill(stop == nil)
		c.throttle(stop == nil)
		select { // first, because what was read past is older than what comes
		case rec, ok := <-c.backfill.records(c.paused):
			c.refillOrClose(rec, ok)
			continue
		default:
		}
		if len(c.read) > 0 && !c.paused {
			rec := c.read[0]
			c.read[0] = nil
			c.read = c.read[1:]
			c.take(rec)
			continue
		}
		select {
		case <-c.ctx.Done():
		case <-stop:
			stop = nil
		case <-c.settled:
		case rec, ok := <-in:
			if !ok {
				return
			}
			if c.paused {
				c.read = append(c.read, rec)
			} else { // c.read is empty
				c.take(rec)
			}
		case rec, ok := <-c.backfill.records(c.paused):
			c.refillOrClose(rec, ok)
		}
	}
}

// throttle pauses or resumes the fetching. Heartbeats go on meanwhile.
func (c *claim) throttle(draining bool) {
	full := draining || c.fill() >= 1
	if full == c.paused {
		if c.told && !draining {
			c.tell(full)
		}
		return
	}
	c.paused = full
	partition := map[string][]int32{c.topic: {c.partition}}
	if full {
		c.sub.cg.Pause(partition)
	} else {
		c.sub.cg.Resume(partition)
	}
	if !draining {
		c.tell(full)
	}
}

// tell says that the window is full when it becomes so, and that it has room
// when half of it is free: a window that stays nearly full is one stall.
func (c *claim) tell(full bool) {
	if full && !c.told {
		c.told = true
		c.sub.stalled(true)
	}
	if !full && c.told && c.fill() < 0.5 {
		c.told = false
		c.sub.stalled(false)
	}
}

// fill is the share of the window that is taken.
func (c *claim) fill() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.share()
}

// share is fill for a caller that holds mu.
func (c *claim) share() float64 {
	cfg := &c.sub.broker.cfg
	return max(float64(c.messages)/float64(cfg.WindowMessages), float64(c.bytes)/float64(cfg.WindowBytes),
		float64(c.tracker.Span())/float64(cfg.WindowSpan))
}

// addTo adds what this partition holds to the subscriber's Stats.
func (c *claim) addTo(all *infra.Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all.Messages += c.messages
	for _, k := range c.behind {
		all.Deferred += k.deferred
	}
	all.MetadataBytes = max(all.MetadataBytes, c.metadata)
	all.Window = max(all.Window, min(1, c.share()))
}

// take hands out the next record of the partition, unless it is done or its
// key already holds as much as it may.
func (c *claim) take(rec *sarama.ConsumerMessage) {
	c.begin(rec.Offset)
	key := string(rec.Key)
	c.mu.Lock()
	c.dirty = true
	open := c.tracker.Add(rec.Offset)
	if open && c.made.has(rec, key) {
		open = false
		c.tracker.Done(rec.Offset)
	}
	if !open {
		c.mu.Unlock()
		c.commits.due()
		c.sub.suppressed.Add(1)
		return
	}
	if c.deferOver(key, rec.Offset) {
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	c.handOut(rec, key)
}

// handOut counts a record as in flight and gives it to the handlers. When it
// is not taken the claim has ended, or the subscriber drains.
func (c *claim) handOut(rec *sarama.ConsumerMessage, key string) {
	f := &flight{rec: rec, key: key, size: len(rec.Key) + len(rec.Value)}
	for _, h := range rec.Headers {
		f.size += len(h.Key) + len(h.Value)
	}
	c.mu.Lock()
	c.messages++
	c.bytes += f.size
	c.keyOf(key).held++
	c.mu.Unlock()
	if !c.send(f) {
		c.settle(f, false)
	}
}

// send gives the handlers a message; false when it was not taken. The message's
// context ends with the claim, or when the message is settled.
func (c *claim) send(f *flight) bool {
	if c.ctx.Err() != nil || !c.sub.flights.Begin() {
		return false
	}
	msg := marshaler{}.unmarshal(c.sub.topic, f.rec) // anew at each delivery: what a middleware wrote on the last is not on it
	f.cancel = func() {}
	if c.sub.receipts { // its context ends with the claim alone, so that many are watched as one
		msg.SetContext(infra.WithReceipt(c.ctx, func(acked bool) { c.verdict(f, acked) }))
	} else {
		var ctx context.Context
		ctx, f.cancel = context.WithCancel(c.ctx)
		msg.SetContext(ctx)
	}
	select {
	case c.sub.out <- msg:
		if !c.sub.receipts {
			go c.await(msg, f)
		}
		return true
	case <-c.ctx.Done():
	case <-c.sub.flights.Draining():
	}
	f.cancel()
	c.sub.flights.End()
	return false
}

// await watches a message of a consumer that uses no receipts.
func (c *claim) await(msg *message.Message, f *flight) {
	select {
	case <-msg.Acked():
		c.verdict(f, true)
	case <-msg.Nacked():
		c.verdict(f, false)
	case <-c.gone:
		f.cancel()
		c.sub.flights.End()
	}
}

// verdict is what a handler said of a message. A Nack brings it again after a
// pause, unless the claim ended or the subscriber drains: then the next owner
// has it.
func (c *claim) verdict(f *flight, acked bool) {
	f.cancel()
	c.sub.flights.End()
	if acked || c.ctx.Err() != nil || c.sub.flights.Drained() {
		c.settle(f, acked)
		return
	}
	time.AfterFunc(c.sub.broker.cfg.NackDelay, func() {
		if !c.send(f) {
			c.settle(f, false)
		}
	})
}

// settle ends a message's flight; done or not.
func (c *claim) settle(f *flight, acked bool) {
	c.mu.Lock()
	if acked {
		c.tracker.Done(f.rec.Offset)
		c.dirty = true
	}
	c.messages--
	c.bytes -= f.size
	k := c.keys[f.key]
	k.held--
	if k.held == 0 && k.deferred == 0 {
		delete(c.keys, f.key)
	}
	if c.messages == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
	c.mu.Unlock()
	if acked {
		c.commits.due()
	}
	select {
	case c.settled <- struct{}{}:
	default:
	}
}

// mark takes what is to be committed, and gives it to the session too, whose
// own commit is the last one. It returns false when nothing has changed.
func (c *claim) mark() (position int64, metadata string, changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dirty {
		return 0, "", false
	}
	c.dirty = false
	at, whole := c.tracker.Position(codec)
	position, metadata = at.Next, at.Text
	if position < 0 {
		return 0, "", false
	}
	c.metadata = len(metadata)
	if !whole {
		c.sub.metadataFull.Add(1)
		if !c.overflown {
			c.sub.log.Warn("commit metadata full: until the oldest messages are done, a restart repeats some of what is done after them",
				slog.Int("partition", int(c.partition)), slog.Int64("oldest", position))
		}
	}
	c.overflown = !whole
	// MarkOffset ignores what is not higher, ResetOffset what is not lower or
	// equal: the first moves the watermark, the second refreshes the metadata.
	if position > c.marked {
		c.session.MarkOffset(c.topic, c.partition, position, metadata)
		c.marked = position
	} else {
		c.session.ResetOffset(c.topic, c.partition, position, metadata)
	}
	return position, metadata, true
}
