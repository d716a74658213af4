package webhook

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/net/http/httpguts"

	"eventserver/destinations"
)

const (
	headerEventID       = "Event-Id"
	headerEventType     = "Event-Type"
	headerEventKey      = "Event-Key"
	headerEventTime     = "Event-Time"
	headerEventReceived = "Event-Received-At"
	headerEventSequence = "Event-Sequence"
	headerDeliveryID    = "Delivery-Id"
	headerAttempt       = "Delivery-Attempt"
	headerRedrives      = "Delivery-Redrives"
	// headerIdempotency is not in Go's canonical form, on purpose: net/http
	// takes a request with an "Idempotency-Key" for one it may send again when
	// a reused connection breaks, on one stale connection after the other.
	// Header names have no case on the wire.
	headerIdempotency = "idempotency-key"
	headerContentType = "Content-Type"
	headerUserAgent   = "User-Agent"
	userAgent         = "eventserver" // the default
)

// The headers of Standard Webhooks, in canonical form once and not at each attempt.
var (
	headerWebhookID        = http.CanonicalHeaderKey(standardwebhooks.HeaderWebhookID)
	headerWebhookTimestamp = http.CanonicalHeaderKey(standardwebhooks.HeaderWebhookTimestamp)
	headerWebhookSignature = http.CanonicalHeaderKey(standardwebhooks.HeaderWebhookSignature)
)

// reserved reports whether a canonical header name is ours or belongs to the
// connection, so that neither configuration nor an event can set it.
func reserved(name string) bool {
	switch name {
	case headerEventID, headerEventType, headerEventKey, headerEventTime, headerEventReceived,
		headerEventSequence, headerDeliveryID, headerAttempt, headerRedrives, headerBatchSize, "Idempotency-Key", "X-Idempotency-Key",
		headerUserAgent, headerContentType,
		"Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Te", "Trailer",
		"Upgrade", "Expect", "Proxy-Authorization", "Proxy-Connection", "Http2-Settings":
		return true
	}
	return strings.HasPrefix(name, "Webhook-")
}

// header makes the headers of one attempt. Ours win over the operator's,
// and those over the event's.
func (d *Destination) header(del destinations.Delivery) (fields, error) {
	const ours = 14 // those below and of sign
	h := make(fields, 0, ours+len(d.headers)+len(del.Payload.Headers)+len(del.Metadata))
	id := encodeValue(del.ID)
	h = append(h, field{headerEventID, encodeValue(del.EventID)}, field{headerDeliveryID, id}, field{headerIdempotency, id},
		field{headerAttempt, strconv.Itoa(del.Attempt)}, field{headerUserAgent, d.cfg.UserAgent})
	if del.EventType != "" {
		h = append(h, field{headerEventType, encodeValue(del.EventType)})
	}
	if del.Key != "" {
		h = append(h, field{headerEventKey, encodeValue(del.Key)})
	}
	if del.Redrives > 0 {
		h = append(h, field{headerRedrives, strconv.Itoa(del.Redrives)})
	}
	received := ""
	if !del.ReceivedAt.IsZero() {
		received = del.ReceivedAt.UTC().Format(time.RFC3339Nano)
		h = append(h, field{headerEventReceived, received})
	}
	switch {
	case del.Time.IsZero():
	case del.Time.Equal(del.ReceivedAt): // of an event that has no time of its own
		h = append(h, field{headerEventTime, received})
	default:
		h = append(h, field{headerEventTime, del.Time.UTC().Format(time.RFC3339Nano)})
	}
	if del.Sequence >= 0 {
		h = append(h, field{headerEventSequence, strconv.FormatInt(del.Sequence, 10)})
	}
	if ct := del.Payload.ContentType; ct != "" {
		if !httpguts.ValidHeaderFieldValue(ct) {
			return nil, fmt.Errorf("the payload's content type cannot be sent: it has characters that HTTP forbids")
		}
		h = append(h, field{headerContentType, ct})
	}
	h, err := d.sign(h, webhookID(del.ID), del.Payload.Body)
	if err != nil {
		return nil, err
	}
	h = append(h, d.headers...).addMetadata(del.Metadata)
	for name, value := range del.Payload.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("the payload's header %.40q cannot be sent: its name or value has characters that HTTP forbids", name)
		}
		if canonical := http.CanonicalHeaderKey(name); !reserved(canonical) {
			h = h.add(canonical, value)
		}
	}
	return h, nil
}

// sign adds the headers of Standard Webhooks. The id and timestamp are there
// without a secret too: they are useful by themselves.
func (d *Destination) sign(h fields, id string, body []byte) (fields, error) {
	now := d.now()
	h = append(h, field{headerWebhookID, id}, field{headerWebhookTimestamp, strconv.FormatInt(now.Unix(), 10)})
	var sigs []string
	for _, signer := range d.signers {
		sig, err := signer.Sign(id, now, body)
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		sigs = append(sigs, sig)
	}
	if len(sigs) > 0 {
		h = append(h, field{headerWebhookSignature, strings.Join(sigs, " ")})
	}
	return h, nil
}

func newSigners(secrets ...destinations.Secret) ([]*standardwebhooks.Webhook, error) {
	var signers []*standardwebhooks.Webhook
	for _, s := range secrets {
		key, err := decodeSecret(s)
		if err != nil {
			return nil, err
		}
		if key == nil {
			continue
		}
		signer, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, err
		}
		signers = append(signers, signer)
	}
	return slices.Clip(signers), nil
}

// encodeValue is the encoding of header values in the HTTP binding of
// CloudEvents.
func encodeValue(s string) string {
	return percentEncode(s, func(c byte) bool { return c > ' ' && c < 0x7f && c != '"' && c != '%' })
}

// webhookID leaves the characters of a ULID, a UUID and a destination's name
// as they are. Two ids never have the same form: '%' is encoded too.
func webhookID(id string) string {
	return percentEncode(id, func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == ':'
	})
}

func percentEncode(s string, plain func(byte) bool) string {
	const hex = "0123456789ABCDEF"
	n := 0
	for n < len(s) && plain(s[n]) {
		n++
	}
	if n == len(s) {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:n])
	for i := n; i < len(s); i++ {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
