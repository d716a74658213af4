package kafka

import (
	"log/slog"

	"github.com/IBM/sarama"

	wmkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"

	"eventserver/infra"
)

// begin asks the consumer, at the claim's first message, what is done beside the
// commits.
func (c *claim) begin(offset int64) {
	if c.begun {
		return
	}
	c.begun = true
	if c.sub.resume == nil {
		return
	}
	c.mu.Lock()
	at := infra.Resumption{Partition: c.partition, Position: c.tracker.low, Note: c.tracker.note}
	c.mu.Unlock()
	if at.Position < 0 { // nothing was ever committed: sarama began where it was told to
		at.Position = offset
	}
	r := c.sub.resume(c.ctx, at)
	if !noteFits(r.Note) {
		c.sub.log.Error("a note does not fit into a commit", slog.Int("most", infra.MaxNote), slog.String("note", r.Note))
		r.Note = ""
	}
	c.made = r.Done
	c.mu.Lock()
	c.tracker.note = r.Note
	c.mu.Unlock()
}

// isMade reports whether the consumer said that it is done with a record.
func (c *claim) isMade(rec *sarama.ConsumerMessage) bool {
	uuid, known := c.made[rec.Offset]
	if !known {
		return false
	}
	if delete(c.made, rec.Offset); len(c.made) == 0 {
		c.made = nil
	}
	for _, h := range rec.Headers {
		if h != nil && string(h.Key) == wmkafka.UUIDHeaderKey {
			return string(h.Value) == uuid
		}
	}
	return false
}
