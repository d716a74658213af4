// Package webhook delivers events by HTTP: one POST an attempt, signed as
// Standard Webhooks says, to an address that the operator configured.
//
// # What the receiver sees
//
// The body is the payload, untouched, with the payload's Content-Type. Headers:
//
//	webhook-id             the delivery's id, see below
//	webhook-timestamp      unix seconds of this attempt
//	webhook-signature      "v1,<base64>" of each secret; absent without a secret
//	Idempotency-Key        the delivery's id; the same at every attempt
//	Delivery-Id            the same again, under our own name
//	Delivery-Attempt       1 at the first try
//	Delivery-Redrives      how often an operator sent it again from the poison
//	                       queue; absent when never
//	Event-Id, Event-Type, Event-Key
//	Event-Time, Event-Received-At   RFC 3339 with nanoseconds, UTC
//	Event-Sequence         rises with the events of a key; absent when unknown
//	User-Agent             eventserver, with a slash and the version
//
// Values that come from events are percent-encoded as the HTTP binding of
// CloudEvents does: space, '"', '%' and all but printable ASCII become %XX of
// their UTF-8 bytes. Decode once to have the value. webhook-id encodes, beyond
// that, everything but letters, digits, '-', '_' and ':', because the signed
// text is "id.timestamp.body" and a '.' in the id would make it ambiguous. So
// the event "a.b" for destination "shop" has webhook-id "a%2Eb:shop".
//
// With DeliverBatch the body is an array of items (batch.go), also of one, and
// the headers of an event are in its item.
//
// # Verdicts
//
// An answer counts by its status, also when its body is cut off:
//
//	2xx                success
//	1xx, 408, 425, 5xx tried again (of 1xx only 101 ends a request)
//	429, 502 to 504,   the destination is unavailable, for as long as Retry-After
//	520 to 530         says, up to max_retry_after; after a 429 without it for 1 s
//	410                the destination is unavailable for 10 min, or as Retry-After
//	                   says: it wants no events, and none of them is at fault
//	413                with a Retry-After tried again, otherwise permanent
//	3xx                permanent; never followed
//	other 4xx          permanent
//
// Retry-After (retryafter.go) is kept after every answer that is not permanent.
//
// permanent_statuses replaces what is permanent. What fails before a connection
// is there (DNS, refused, TLS, no answer, an address that the guard blocks) is
// the destination's fault, what fails on it may be the event's.
//
// A request that fails before the first byte of an answer, on a connection that
// was used before, is sent once more on a fresh connection within the same
// attempt: the connection may have died while it was idle. What fails there, or
// on a connection's first request, counts.
//
// A request that is small and without TLS or proxy is made by plain.go in the
// attempt's own goroutine, which halves its CPU; every other by net/http's
// transport. A receiver sees no difference.
//
// It may import destinations and libraries. Retrying, pausing, ordering and
// metrics belong in router; formats other than HTTP in a package of their own.
package webhook
