package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"eventserver/destinations"
)

const headerBatchSize = "Batch-Size"

// item is one delivery in the body of a batch: what is in headers otherwise,
// and the payload as it is.
type item struct {
	EventID    string    `json:"event_id"`
	EventType  string    `json:"event_type,omitempty"`
	Key        string    `json:"key"`
	DeliveryID string    `json:"delivery_id"`
	Attempt    int       `json:"attempt"`
	Redrives   int       `json:"redrives,omitempty"`
	Sequence   *int64    `json:"sequence,omitempty"`
	Time       time.Time `json:"time,omitzero"`
	ReceivedAt time.Time `json:"received_at,omitzero"`
	// Metadata and Headers, the payload's, are headers of a request without batches.
	Metadata    map[string]string `json:"metadata,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
	ContentType string            `json:"content_type,omitempty"`
	Data        json.RawMessage   `json:"data,omitempty"`
	DataBase64  []byte            `json:"data_base64,omitempty"`
}

// DeliverBatch sends one request whose body is a JSON array of the deliveries,
// also of one. The same deliveries make the same webhook-id.
func (d *Destination) DeliverBatch(ctx context.Context, ds []destinations.Delivery) error {
	size := 2
	for _, del := range ds {
		size += len(del.Payload.Body) + 300
	}
	body := make([]byte, 0, size)
	sum := sha256.New()
	for i, del := range ds {
		sep := byte(',')
		if i == 0 {
			sep = '['
		}
		var err error
		if body, err = appendItem(append(body, sep), del); err != nil {
			return destinations.Permanent(fmt.Errorf("webhook: event %s: %w", del.EventID, err))
		}
		sum.Write([]byte(del.ID))
		sum.Write([]byte{0})
	}
	body = append(body, ']')
	h := make(http.Header, 8+len(d.cfg.Headers))
	destinations.SetHeaders(h, destinations.CallMetadata(ctx), reserved)
	for name, value := range d.cfg.Headers {
		h.Set(name, value)
	}
	h["Content-Type"] = []string{"application/json"}
	h["User-Agent"] = []string{d.cfg.UserAgent}
	h[headerBatchSize] = []string{strconv.Itoa(len(ds))}
	id := "batch_" + hex.EncodeToString(sum.Sum(nil)[:16])
	h[headerIdempotency] = []string{id}
	if err := d.sign(h, id, body); err != nil {
		return destinations.Permanent(fmt.Errorf("webhook: %w", err))
	}
	return d.send(ctx, h, body)
}

// appendItem writes the item with its payload's own bytes: json.Marshal would
// compact and escape them.
func appendItem(body []byte, del destinations.Delivery) ([]byte, error) {
	it := item{
		EventID: del.EventID, EventType: del.EventType, Key: del.Key, DeliveryID: del.ID, Attempt: del.Attempt, Redrives: del.Redrives,
		Time: del.Time.UTC(), ReceivedAt: del.ReceivedAt.UTC(), Metadata: del.Metadata, Headers: del.Payload.Headers, ContentType: del.Payload.ContentType,
	}
	if del.Sequence >= 0 {
		it.Sequence = &del.Sequence
	}
	data := del.Payload.Body
	switch {
	case del.Payload.Null():
		data = []byte("null")
	case !destinations.IsJSON(del.Payload.ContentType) || !json.Valid(data): // of an event's own bytes that was checked; a transformation may make any
		it.DataBase64, data = data, nil
	}
	head, err := json.Marshal(it)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return append(body, head...), nil
	}
	body = append(body, head[:len(head)-1]...)
	body = append(body, `,"data":`...)
	body = append(body, data...)
	return append(body, '}'), nil
}
