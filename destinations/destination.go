package destinations

import (
	"context"
	"time"
)

// Event is what happened, as it was accepted. Its fields use the words of
// CloudEvents. An Event is shared by all destinations: nobody changes it.
type Event struct {
	ID         string            // unique within Source; a ULID when the client gave none
	Type       string            // e.g. "order.placed"; may be empty
	Source     string            // where it came from; may be empty
	Key        string            // ordering key: the user; never empty
	Time       time.Time         // when it happened, by the client; ReceivedAt when it gave none
	ReceivedAt time.Time         // when the server accepted it
	Metadata   map[string]string // allow-listed context: MetadataFrom
	// ContentType is the media type of Data ("application/json").
	ContentType string
	// Data is the posted object, byte for byte.
	Data []byte
}

// Delivery is one event for one destination. ID is the same at every attempt,
// crash and redrive, so receivers can use it as an idempotency key.
type Delivery struct {
	ID          string // EventID + ":" + Destination
	EventID     string
	EventType   string
	Key         string
	Destination string
	Attempt     int       // 1 for the first try; counts on through a crash only by what was stored
	Time        time.Time // the event's time
	ReceivedAt  time.Time // when the server accepted the event
	// Sequence rises with each delivery of a key to this destination: the
	// source partition's offset. -1 where the broker has none.
	Sequence int64
	Metadata map[string]string // the event's
	Payload  Payload
	// Redrives counts how often an operator sent it on again from the poison
	// queue, RedrivenAt is when that was last; zero otherwise. ID and Sequence
	// are those of the first time.
	Redrives   int
	RedrivenAt time.Time
}

// Batcher is implemented by destinations that can take several deliveries in
// one attempt. The configuration's batch turns it on.
type Batcher interface {
	// DeliverBatch makes exactly one attempt for all of ds, of which there is
	// at least one. Those of a key are in order, and no other call has that key
	// meanwhile. An error is of all of them: they are delivered again, each alone.
	DeliverBatch(ctx context.Context, ds []Delivery) error
}

// Destination is a configured place that events go to.
//
// The router calls Transform and Deliver from many goroutines at once, never
// twice at once for one key. It fills in ids, keys and attempt numbers: a
// Destination cannot break identity or order.
type Destination interface {
	// ID is the destination's name in configuration, topics and metrics:
	// [a-z0-9][a-z0-9-]*, at most 64 characters, the same at every call.
	ID() string
	// Transform makes the payload for this destination. The same Event gives
	// the same Payload; e is not changed, nor what it points to, because other
	// destinations are given the same. ErrSkip says the destination does not want the
	// event; any other error sends it to the poison queue of this destination alone, and
	// so does a call that does not return within the destination's timeout: its ctx
	// ends, and events behind it go on.
	Transform(ctx context.Context, e Event) (Payload, error)
	// Deliver makes exactly one attempt. nil means the receiver has it. It
	// returns soon after ctx ends. An error is retried unless it is one of
	// the control errors of this package.
	Deliver(ctx context.Context, d Delivery) error
}
