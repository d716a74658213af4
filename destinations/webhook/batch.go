package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
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
	// Metadata has what are headers of a request of one.
	Metadata    map[string]string `json:"metadata,omitempty"`
	ContentType string            `json:"content_type,omitempty"`
	Data        json.RawMessage   `json:"data,omitempty"`
	DataBase64  []byte            `json:"data_base64,omitempty"`
}

// DeliverBatch sends one request whose body is a JSON array of the deliveries.
// The same deliveries make the same webhook-id.
func (d *Destination) DeliverBatch(ctx context.Context, ds []destinations.Delivery) error {
	if len(ds) == 1 {
		return d.Deliver(ctx, ds[0])
	}
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
		Time: del.Time.UTC(), ReceivedAt: del.ReceivedAt.UTC(), Metadata: del.Metadata, ContentType: del.Payload.ContentType,
	}
	if del.Sequence >= 0 {
		it.Sequence = &del.Sequence
	}
	raw := isJSON(del.Payload)
	if !raw {
		it.DataBase64 = del.Payload.Body
	}
	head, err := json.Marshal(it)
	if err != nil {
		return nil, err
	}
	if !raw {
		return append(body, head...), nil
	}
	body = append(body, head[:len(head)-1]...)
	body = append(body, `,"data":`...)
	body = append(body, del.Payload.Body...)
	return append(body, '}'), nil
}

// isJSON reports whether the payload can stand in the array as it is. An
// event's own bytes were checked when it was accepted, so this is for what a
// transformation made.
func isJSON(p destinations.Payload) bool {
	if typ := p.ContentType; typ != "application/json" {
		var err error
		if typ, _, err = mime.ParseMediaType(typ); err != nil || typ != "application/json" && !strings.HasSuffix(typ, "+json") {
			return false
		}
	}
	return json.Valid(p.Body)
}
