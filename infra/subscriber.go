package infra

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"
)

// SubscriberConfig configures a subscriber.
type SubscriberConfig struct {
	// Receipts gives every message a Receipt, and the caller settles by Settle alone. It
	// saves a goroutine per message that watches its Ack and Nack channels.
	Receipts bool
	// Runs makes messages come in runs instead of singly. Receipts is then ignored.
	Runs Runs
	// Only decides which messages go into runs. Without Runs it is ignored.
	Only Only
	// Resume is called before the first message of each claim is handed out. It may be
	// nil. It is never called where a run and its progress are stored both or neither.
	Resume func(ctx context.Context, at Resumption) Resumed
}

// Subscriber is a Watermill subscriber in a consumer group. It hands out many
// unacked messages at once, in offset order per partition.
type Subscriber interface {
	message.Subscriber
	// Assigned reports whether there is a subscription and every one has joined its
	// group. The readiness check uses it.
	Assigned() bool
	// Drain hands out no more messages, and returns when none is in flight or when ctx
	// ends. A message that is nacked from then on is not redelivered here: the next owner
	// gets it. The subscriber stays in its group until Close. Watermill's router cancels
	// all handlers when it is closed, so subscribers are drained first.
	Drain(ctx context.Context) error
	// Stats is called at each scrape, also after Close.
	Stats() Stats
	// Bound limits the unsettled messages of all partitions together: the subscriber
	// reads no more while that many are handed out. Partitions that read side by side may
	// exceed it by one each. 0, the initial value, is no limit. A subscriber with one
	// message of a partition in flight may ignore it.
	Bound(messages int)
	// Deferred is the number of deferred messages of key: read past, because the key has
	// too many unsettled ones.
	Deferred(key string) int
}

// Stats are the present figures of a subscriber. One that does not have a figure leaves it
// zero.
type Stats struct {
	Partitions    int     // partitions that it reads
	Messages      int     // handed out and not acked
	Deferred      int     // deferred, because their keys have too many in flight
	Window        float64 // used share of the window of the fullest partition, 0 to 1
	MetadataBytes int     // largest commit metadata of a partition; at most 4096 with Kafka
	MetadataFull  int64   // commits that could not list everything done, since the start
	Suppressed    int64   // records not handed out because an earlier owner had done them, since the start
}
