package infra

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"
)

// SubscriberConfig says how a subscriber is used.
type SubscriberConfig struct {
	// Receipts gives every message a Receipt; the caller settles by Settle
	// alone. It spares the subscriber watching the Ack and Nack channels of
	// every message, with a goroutine for each.
	Receipts bool
	// Runs has messages come in runs, and not singly. Receipts is then ignored.
	Runs Runs
	// Only says which messages go into runs. Without Runs it is ignored.
	Only Only
	// Resume is called at the first message of each claim, before it is handed
	// out; nothing else of the partition is meanwhile. nil: nobody is asked.
	// Where a run and its progress are stored both or neither it is never called.
	Resume func(ctx context.Context, at Resumption) Resumed
}

// Subscriber is a Watermill subscriber in a consumer group. It hands out many
// unacked messages at once, in offset order per partition.
type Subscriber interface {
	message.Subscriber
	// Assigned reports whether every subscription has joined its group, and
	// there is one. The readiness check asks it.
	Assigned() bool
	// Drain stops handing out messages and returns when none is in flight or
	// when ctx ends. A message nacked from now on is not redelivered here:
	// the next owner gets it. The subscriber stays in its group until Close.
	// Watermill's routers cancel all handlers at once when they are closed, so
	// every subscriber is drained before.
	Drain(ctx context.Context) error
	// Stats is asked at each scrape, at any time, also after Close.
	Stats() Stats
	// Bound has the subscriber read nothing more while so many messages, at least 1,
	// are handed out and not settled, over all partitions; partitions that read side by
	// side may exceed it by one each. 0: no bound beside the broker's own, which is how it
	// begins. A subscriber that has one message of a partition in flight may ignore it.
	Bound(messages int)
	// Deferred is the number of messages of key that were read past, because
	// the key has too many handed out.
	Deferred(key string) int
}

// Stats is what a subscriber's reading looks like now. A subscriber that cannot
// tell one of them leaves it zero.
type Stats struct {
	Partitions    int     // that it has been given to read
	Messages      int     // handed out and not acked
	Deferred      int     // read past, because their keys have too many handed out; handed out later
	Window        float64 // share of its window that the fullest partition has taken, 0 to 1
	MetadataBytes int     // commit metadata of the partition that has most; at most 4096 with Kafka
	MetadataFull  int64   // commits that could not hold all that was done, since the start
	Suppressed    int64   // records not handed out because an earlier owner had done them, since the start
}
