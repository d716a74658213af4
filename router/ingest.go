package router

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
)

// hBatch is the metadata of an ingest message with several events: where in
// the payload each lies, and what was read of it.
const hBatch = "es_batch"

type batchItem struct {
	ID       string            `json:"id"`
	Type     string            `json:"type,omitempty"`
	Source   string            `json:"source,omitempty"`
	Key      string            `json:"key"`
	Time     time.Time         `json:"time,omitzero"`
	Received time.Time         `json:"received"`
	Content  string            `json:"content,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Size     int               `json:"size"`
}

// EncodeIngest makes the one message that a request becomes, so that the HTTP
// subscriber can hand over a batch and be acked for all of it. One event is
// the record itself.
func EncodeIngest(events []destinations.Event) (*message.Message, error) {
	if len(events) == 1 {
		return EncodeEvent(events[0]), nil
	}
	items := make([]batchItem, len(events))
	var size int
	for _, e := range events {
		size += len(e.Data)
	}
	payload := make([]byte, 0, size)
	for i, e := range events {
		items[i] = batchItem{ID: e.ID, Type: e.Type, Source: e.Source, Key: e.Key, Time: e.Time, Received: e.ReceivedAt,
			Content: e.ContentType, Metadata: e.Metadata, Size: len(e.Data)}
		payload = append(payload, e.Data...)
	}
	index, err := json.Marshal(items)
	if err != nil {
		return nil, fmt.Errorf("encode batch: %w", err)
	}
	msg := message.NewMessage(events[0].ID, payload)
	msg.Metadata[hBatch] = string(index)
	return msg, nil
}

// records takes an ingest message apart into the records to store.
func records(msg *message.Message) ([]*message.Message, error) {
	index := msg.Metadata.Get(hBatch)
	if index == "" {
		return []*message.Message{msg}, nil
	}
	var items []batchItem
	if err := json.Unmarshal([]byte(index), &items); err != nil {
		return nil, fmt.Errorf("decode batch: %w", err)
	}
	out := make([]*message.Message, len(items))
	rest := msg.Payload
	for i, it := range items {
		if it.Size > len(rest) {
			return nil, fmt.Errorf("decode batch: item %d is longer than the payload", i)
		}
		out[i] = EncodeEvent(destinations.Event{ID: it.ID, Type: it.Type, Source: it.Source, Key: it.Key, Time: it.Time,
			ReceivedAt: it.Received, ContentType: it.Content, Metadata: it.Metadata, Data: []byte(rest[:it.Size:it.Size])})
		rest = rest[it.Size:]
	}
	return out, nil
}

// ingester stores the events of a request. The request is answered when it
// returns: nil is a promise.
type ingester struct{ pub message.Publisher }

func (i ingester) handle(msg *message.Message) error {
	recs, err := records(msg)
	if err != nil {
		return err
	}
	return i.pub.Publish(EventsTopic, recs...)
}
