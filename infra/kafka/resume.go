package kafka

import (
	"log/slog"

	"github.com/IBM/sarama"
	wmkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"

	"eventserver/infra"
	"eventserver/infra/progress"
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
	at := infra.Resumption{Partition: c.partition, Position: c.tracker.Low(), Note: c.tracker.Note()}
	c.mu.Unlock()
	if at.Position < 0 { // nothing was ever committed: sarama began where it was told to
		at.Position = offset
	}
	r := c.sub.resume(c.ctx, at)
	if !progress.NoteFits(r.Note) {
		c.sub.log.Error("a note does not fit into a commit", slog.Int("most", infra.MaxNote), slog.String("note", r.Note))
		r.Note = ""
	}
	c.made = newMade(r.Done)
	c.mu.Lock()
	c.tracker.SetNote(r.Note)
	c.mu.Unlock()
}

// made is what the consumer says is done. Its methods are run's.
type made struct {
	done   map[int64]infra.Identity // by offset; nil: nothing is
	last   int64                    // offset
	handed map[string]struct{}      // keys of which a message is not done
}

func newMade(done map[int64]infra.Identity) made {
	m := made{last: -1, handed: map[string]struct{}{}}
	for offset := range done {
		m.done, m.last = done, max(m.last, offset)
	}
	return m
}

// has reports whether a message that no commit says is done is so. All that come
// must be asked about, in order.
func (m *made) has(rec *sarama.ConsumerMessage, key string) bool {
	if m.done == nil {
		return false
	}
	if rec.Offset > m.last {
		*m = made{}
		return false
	}
	want, known := m.done[rec.Offset]
	_, handed := m.handed[key]
	if known && !handed && key == want.Key && uuidOf(rec) == want.UUID {
		return true
	}
	m.handed[key] = struct{}{}
	return false
}

func uuidOf(rec *sarama.ConsumerMessage) string {
	for _, h := range rec.Headers {
		if h != nil && string(h.Key) == wmkafka.UUIDHeaderKey {
			return string(h.Value)
		}
	}
	return ""
}
