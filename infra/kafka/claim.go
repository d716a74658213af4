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

	mu       sync.Mutex
	tracker  *tracker
	dirty    bool
	messages int // unacked
	bytes    int
	marked   int64         // last offset given to the session
	room     chan struct{} // signalled when something was settled
}

// run reads until the claim ends. It commits what was done at each tick.
func (c *claim) run(in <-chan *sarama.ConsumerMessage) {
	tick := time.NewTicker(c.sub.broker.cfg.CommitInterval / 2)
	defer tick.Stop()
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
		case <-tick.C:
			c.mark()
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

// handOut gives one record to the handlers; false when the claim ended.
func (c *claim) handOut(rec *sarama.ConsumerMessage) bool {
	c.mu.Lock()
	fresh := c.tracker.add(rec.Offset)
	c.dirty = true
	c.mu.Unlock()
	if !fresh {
		return true
	}
	msg, err := marshaler{}.unmarshal(c.sub.topic, rec)
	if err != nil { // the handler decides what such bytes are worth: it can poison, we cannot
		msg = c.raw(rec)
	}
	size := len(rec.Key) + len(rec.Value)
	for _, h := range rec.Headers {
		size += len(h.Key) + len(h.Value)
	}
	if !c.send(msg) {
		return c.ctx.Err() == nil // draining: stay in the group, without handing out
	}
	c.mu.Lock()
	c.messages++
	c.bytes += size
	c.mu.Unlock()
	c.waiting.Go(func() { c.await(msg, rec.Offset, size) })
	return true
}

func (c *claim) raw(rec *sarama.ConsumerMessage) *message.Message {
	msg := message.NewMessage("", rec.Value)
	msg.Metadata[infra.MetaKey] = string(rec.Key)
	msg.Metadata[infra.MetaTopic] = c.sub.topic
	msg.Metadata[infra.MetaPartition] = strconv.FormatInt(int64(rec.Partition), 10)
	msg.Metadata[infra.MetaOffset] = strconv.FormatInt(rec.Offset, 10)
	return msg
}

// send gives msg to the handlers; false when it was not taken.
func (c *claim) send(msg *message.Message) bool {
	if !c.sub.begin() {
		return false
	}
	msg.SetContext(c.ctx)
	select {
	case c.sub.out <- msg:
		return true
	case <-c.ctx.Done():
	case <-c.sub.draining:
	}
	c.sub.end()
	return false
}

// await follows one message to its Ack. A Nack brings it again after a pause,
// unless the claim ended or the subscriber drains: then the next owner has it.
func (c *claim) await(msg *message.Message, offset int64, size int) {
	for {
		select {
		case <-msg.Acked():
			c.settle(offset, size)
			c.sub.end()
			return
		case <-msg.Nacked():
		}
		c.sub.end()
		select {
		case <-c.ctx.Done():
			return
		case <-c.sub.draining:
			return
		case <-time.After(c.sub.broker.cfg.NackDelay):
		}
		msg = msg.Copy()
		if !c.send(msg) {
			return
		}
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
	if !fits {
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
	done := make(chan struct{})
	go func() { c.waiting.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(c.sub.broker.cfg.ReleaseTimeout):
		c.mu.Lock()
		n := c.messages
		c.mu.Unlock()
		c.sub.log.Error("handlers did not stop in time; their messages come again",
			slog.Int("partition", int(c.partition)), slog.Int("messages", n))
	}
	c.mark()
}
