package infra

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Metadata keys that pass between the router and a broker. They never become
// record headers: Key is the record's key, the others are its coordinates.
const (
	// MetaKey holds the ordering key. A broker keeps the order of messages
	// of one key; a message without one is placed by its UUID.
	MetaKey = "_es_key"
	// MetaTopic, MetaPartition and MetaOffset are set on received messages.
	MetaTopic     = "_es_topic"
	MetaPartition = "_es_partition"
	MetaOffset    = "_es_offset"
)

// Topic is a topic to create. Name is logical; the broker adds its prefix.
type Topic struct {
	Name string
	// Keep exempts the topic from retention and trimming: the poison queue.
	Keep bool
}

// Broker is a place that stores messages in topics.
type Broker interface {
	// Publisher returns the shared publisher; its Close is the broker's
	// business, so callers never close it (closing it does nothing).
	// Publish returns after the messages are stored durably; a failure may
	// leave some of them stored. Safe for use from many goroutines.
	Publisher() message.Publisher
	// Subscriber returns a new subscriber in a consumer group. It hands out
	// many unacked messages at once, in offset order per partition. The
	// caller closes it.
	Subscriber(group string) (message.Subscriber, error)
	// EnsureTopics creates what is missing. Idempotent.
	EnsureTopics(ctx context.Context, topics ...Topic) error
	// Ping asks whether the broker answers.
	Ping(ctx context.Context) error
	// Close releases everything; later calls do nothing.
	Close() error
}

// ErrTooLarge is wrapped by the error of a Publish whose message no retry can
// make small enough.
var ErrTooLarge = errors.New("message is larger than the broker takes")

// PublishError is the error of a Publish that stored some of its messages and
// not others.
type PublishError struct {
	Failed []*message.Message // not stored, or not known to be
	Err    error              // of the first
}

func (e *PublishError) Error() string { return e.Err.Error() }
func (e *PublishError) Unwrap() error { return e.Err }

// Assigned is implemented by subscribers that can say whether they have been
// given partitions to read. The readiness check asks it.
type Assigned interface {
	// Assigned reports whether every subscription has joined its group.
	Assigned() bool
}

// Drainer is implemented by subscribers that can stop without cutting work.
// The app drains every subscriber before it closes Watermill's routers, whose
// Close cancels all handlers at once.
type Drainer interface {
	// Drain stops handing out messages and returns when none is in flight or
	// when ctx ends. A message nacked from now on is not redelivered here:
	// the next owner gets it. The subscriber stays in its group until Close.
	Drain(ctx context.Context) error
}

// Releaser is implemented by brokers whose subscribers wait for handlers when
// they give a partition up.
type Releaser interface {
	// AllowRelease makes that wait d at least. Subscriptions that there are
	// have told their group already how long a rebalance may take; for the
	// group it holds from the next one on.
	AllowRelease(d time.Duration)
}

// Leaver is implemented by brokers where a closed subscriber keeps its place in
// the group for a while, so that a restart finds its partitions.
type Leaver interface {
	// Leave gives up the places that closed subscribers of this process have
	// kept in group.
	Leave(ctx context.Context, group string) error
}

// Stater is implemented by subscribers that can tell how their reading goes.
type Stater interface {
	// Stats is asked at each scrape, at any time, also after Close.
	Stats() Stats
}

// Stats is what a subscriber's reading looks like now.
type Stats struct {
	Partitions    int     // that it has been given to read
	Messages      int     // handed out and not acked
	Deferred      int     // read past, because their keys have too many handed out; handed out later
	Window        float64 // share of its window that the fullest partition has taken, 0 to 1
	MetadataBytes int     // commit metadata of the partition that has most; at most 4096 with Kafka
	MetadataFull  int64   // commits that could not hold all that was done, since the start
	Suppressed    int64   // records not handed out because an earlier owner had done them, since the start
}

// Offset returns the offset a received message had, or -1.
func Offset(m *message.Message) int64 {
	n, err := strconv.ParseInt(m.Metadata.Get(MetaOffset), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// Partition returns the partition a received message came from, or -1.
func Partition(m *message.Message) int32 {
	n, err := strconv.ParseInt(m.Metadata.Get(MetaPartition), 10, 32)
	if err != nil {
		return -1
	}
	return int32(n)
}

// Deferrer is implemented by subscribers that read past messages of keys that
// have too many in flight, and can tell how many.
type Deferrer interface {
	// Deferred is the number of messages of key that were read past.
	Deferred(key string) int
}

// Durability says what survives a crash of the machine.
type Durability int

const (
	// Durable: on disk before the call returns.
	Durable Durability = iota
	// Step: not before what it was made from is settled. For a record whose source's
	// progress is kept after it: the log never keeps the later without the earlier.
	Step
)
