package kafka

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// claim is the ownership of one partition in one group session. It hands out
// messages in offset order, many at once, and commits exactly what is done.
// Every message's context ends with the claim.
type claim struct {
	sub       *subscription
	session   sarama.ConsumerGroupSession
	topic     string
	partition int32
	ctx       context.Context

	waiting sync.WaitGroup // goroutines that await a settlement
	gone    chan struct{}  // closed when the handlers had their time: an ack no longer counts

	mu       sync.Mutex
	tracker  *tracker
	dirty    bool
	messages int // unacked
	bytes    int
	marked   int64         // last offset given to the session
	metadata int           // bytes given with it
	room     chan struct{} // signalled when something was settled
}

// run reads until the claim ends.
func (c *claim) run(in <-chan *sarama.ConsumerMessage) {
	stop := c.sub.draining
	for {
		from := in
		if stop == nil || c.full() {
			from = nil // backpressure: sarama's buffer fills, fetching stops, heartbeats go on
		}
		select {
		case <-c.ctx.Done():
			return
		case <-stop:
			stop = nil
		case <-c.room:
		case rec, ok := <-from:
			if !ok { // a cooperative rebalance took the partition away
				return
			}
			if !c.handOut(rec) {
				return
			}
		}
	}
}

func (c *claim) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	cfg := &c.sub.broker.cfg
	return c.messages >= cfg.WindowMessages || c.bytes >= cfg.WindowBytes
}

// addTo adds what this partition holds to the subscriber's Stats.
func (c *claim) addTo(all *infra.Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cfg := &c.sub.broker.cfg
	all.Messages += c.messages
	all.MetadataBytes = max(all.MetadataBytes, c.metadata)
	all.Window = max(all.Window, min(1, max(float64(c.messages)/float64(cfg.WindowMessages), float64(c.bytes)/float64(cfg.WindowBytes))))
}

// handOut gives one record to the handlers; false when the claim ended.
func (c *claim) handOut(rec *sarama.ConsumerMessage) bool {
	c.mu.Lock()
	fresh := c.tracker.add(rec.Offset)
	c.dirty = true
	c.mu.Unlock()
	if !fresh {
		c.sub.suppressed.Add(1)
		return true
	}
	size := len(rec.Key) + len(rec.Value)
	for _, h := range rec.Headers {
		size += len(h.Key) + len(h.Value)
	}
	msg, cancel := c.send(rec)
	if msg == nil {
		return c.ctx.Err() == nil // draining: stay in the group, without handing out
	}
	c.mu.Lock()
	c.messages++
	c.bytes += size
	c.mu.Unlock()
	c.waiting.Go(func() { c.await(msg, cancel, rec, size) })
	return true
}

// message makes rec a message of its own for each delivery: what a handler's
// middlewares wrote on the last one is not on it.
func (c *claim) message(rec *sarama.ConsumerMessage) *message.Message {
	msg, err := marshaler{}.unmarshal(c.sub.topic, rec)
	if err == nil {
		return msg
	}
	// The handler decides what such bytes are worth: it can poison, we cannot.
	msg = message.NewMessage("", rec.Value)
	msg.Metadata[infra.MetaKey] = string(rec.Key)
	msg.Metadata[infra.MetaTopic] = c.sub.topic
	msg.Metadata[infra.MetaPartition] = strconv.FormatInt(int64(rec.Partition), 10)
	msg.Metadata[infra.MetaOffset] = strconv.FormatInt(rec.Offset, 10)
	return msg
}

// send gives the handlers a message; nil when it was not taken. The message's
// context ends with the claim, or with cancel when the message is settled.
func (c *claim) send(rec *sarama.ConsumerMessage) (*message.Message, context.CancelFunc) {
	if c.ctx.Err() != nil || !c.sub.begin() {
		return nil, nil
	}
	msg := c.message(rec)
	ctx, cancel := context.WithCancel(c.ctx)
	msg.SetContext(ctx)
	select {
	case c.sub.out <- msg:
		return msg, cancel
	case <-c.ctx.Done():
	case <-c.sub.draining:
	}
	cancel()
	c.sub.end()
	return nil, nil
}

// await follows one message to its Ack. A Nack brings it again after a pause,
// unless the claim ended or the subscriber drains: then the next owner has it.
func (c *claim) await(msg *message.Message, cancel context.CancelFunc, rec *sarama.ConsumerMessage, size int) {
	for msg != nil {
		select {
		case <-msg.Acked():
			c.settle(rec.Offset, size)
			cancel()
			c.sub.end()
			return
		case <-c.gone:
			cancel()
			c.sub.end()
			return
		case <-msg.Nacked():
			cancel()
			c.sub.end()
		}
		select {
		case <-c.ctx.Done():
			return
		case <-c.sub.draining:
			return
		case <-time.After(c.sub.broker.cfg.NackDelay):
		}
		msg, cancel = c.send(rec)
	}
}

func (c *claim) settle(offset int64, size int) {
	c.mu.Lock()
	c.tracker.done(offset)
	c.dirty = true
	c.messages--
	c.bytes -= size
	c.mu.Unlock()
	select {
	case c.room <- struct{}{}:
	default:
	}
}

// commit marks at each tick what was done, also while run waits for somebody to
// take a message and while finish waits for handlers.
func (c *claim) commit() {
	tick := time.NewTicker(max(c.sub.broker.cfg.CommitInterval/2, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-c.gone:
			return
		case <-tick.C:
			c.mark()
		}
	}
}

// mark gives the session what to commit. sarama sends it within CommitInterval.
func (c *claim) mark() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dirty {
		return
	}
	c.dirty = false
	position, metadata, fits := c.tracker.commit()
	if position < 0 {
		return
	}
	c.metadata = len(metadata)
	if !fits {
		c.sub.metadataFull.Add(1)
		c.sub.log.Debug("commit metadata full: a crash repeats more", slog.Int("partition", int(c.partition)))
	}
	// MarkOffset ignores what is not higher, ResetOffset what is not lower or
	// equal: the first moves the watermark, the second refreshes the metadata.
	if position > c.marked {
		c.session.MarkOffset(c.topic, c.partition, position, metadata)
		c.marked = position
		return
	}
	c.session.ResetOffset(c.topic, c.partition, position, metadata)
}

// finish waits for the handlers, whose contexts have ended, and leaves what is
// done to the session's last commit. A handler that does not return within
// ReleaseTimeout is left behind: the partition is given up all the same.
func (c *claim) finish() {
	late := time.AfterFunc(c.sub.broker.cfg.ReleaseTimeout, func() {
		c.mu.Lock()
		n := c.messages
		c.mu.Unlock()
		c.sub.log.Error("handlers did not stop in time; their messages come again",
			slog.Int("partition", int(c.partition)), slog.Int("messages", n))
		close(c.gone)
	})
	c.waiting.Wait() // returns once gone is closed
	if late.Stop() {
		close(c.gone)
	}
	c.mark()
}
