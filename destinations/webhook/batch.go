package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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
	id := "batch_" + hex.EncodeToString(sum.Sum(nil)[:16])
	h := make(fields, 0, 8+len(d.headers))
	h = append(h, field{headerContentType, "application/json"}, field{headerUserAgent, d.cfg.UserAgent},
		field{headerBatchSize, strconv.Itoa(len(ds))}, field{headerIdempotency, id})
	h, err := d.sign(h, id, body)
	if err != nil {
		return destinations.Permanent(fmt.Errorf("webhook: %w", err))
	}
	h = append(h, d.headers...).addMetadata(destinations.CallMetadata(ctx))
	return d.send(ctx, h, body)
}
