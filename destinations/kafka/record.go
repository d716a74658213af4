package kafka

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"eventserver/destinations"
)

const (
	headerSpecVersion = "ce_specversion"
	headerSource      = "ce_source"
	headerID          = "ce_id"
	headerType        = "ce_type"
	headerTime        = "ce_time"
	headerContentType = "content-type"
	headerDelivery    = "es_delivery_id"
	headerAttempt     = "es_attempt"
	headerSequence    = "es_sequence"
	headerRedrives    = "es_redrives"
)

// record is what one attempt sends. It has no timestamp: a topic may refuse an
// event's own for being too long ago, and ce_time has it.
func record(topic string, del destinations.Delivery) *kgo.Record {
	m := &kgo.Record{Topic: topic, Key: []byte(del.Key)}
	if !del.Payload.Null() { // else the value is null: a tombstone, which deletes the key in a compacted topic
		m.Value = del.Payload.Body
	}
	own := map[string]bool{}
	add := func(name, value string) {
		own[name] = true
		if value != "" {
			m.Headers = append(m.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
		}
	}
	add(headerID, del.EventID)
	add(headerType, del.EventType)
	if del.Time.IsZero() {
		add(headerTime, "")
	} else {
		add(headerTime, del.Time.UTC().Format(time.RFC3339Nano))
	}
	add(headerContentType, del.Payload.ContentType)
	add(headerDelivery, del.ID)
	add(headerAttempt, strconv.Itoa(del.Attempt))
	if del.Redrives == 0 {
		add(headerRedrives, "")
	} else {
		add(headerRedrives, strconv.Itoa(del.Redrives))
	}
	if del.Sequence < 0 {
		add(headerSequence, "")
	} else {
		add(headerSequence, strconv.FormatInt(del.Sequence, 10))
	}
	for _, name := range slices.Sorted(maps.Keys(del.Payload.Headers)) {
		if !own[name] {
			add(name, del.Payload.Headers[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(del.Metadata)) {
		if _, set := del.Payload.Headers[name]; !set && !own[name] {
			add(name, del.Metadata[name])
		}
	}
	return m
}

// size is the most that a record takes of a batch, in bytes.
func size(r *kgo.Record) int {
	n := 36 + len(r.Key) + len(r.Value) // lengths, offset and time
	for _, h := range r.Headers {
		n += 10 + len(h.Key) + len(h.Value)
	}
	return n
}
