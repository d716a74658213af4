package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"

	"eventserver/destinations"
)

const headerBatchSize = "Batch-Size"

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
