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

// Broker is a place that stores messages in topics. Each broker has every method:
// what it cannot tell it answers with the zero value, and nothing is found out by
// type assertion.
type Broker interface {
	Topics
	Reader
	Groups
	// Publisher returns the shared publisher; its Close is the broker's
	// business, so callers never close it (closing it does nothing).
	// Publish returns after the messages are stored as durably as d says; a
	// failure may leave some of them stored. Safe for use from many goroutines.
	Publisher(d Durability) message.Publisher
	// Subscriber returns a new subscriber in a consumer group. The caller
	// closes it.
	Subscriber(group string, cfg SubscriberConfig) (Subscriber, error)
	// AllowRelease makes subscribers wait d at least for their handlers when
	// they give a partition up. Subscriptions that there are have told their
	// group already how long a rebalance may take; for the group it holds from
	// the next one on.
	AllowRelease(d time.Duration)
	// Ping asks whether the broker answers.
	Ping(ctx context.Context) error
	// Close releases everything; later calls do nothing.
	Close() error
}

// Topics makes, lists and deletes topics.
type Topics interface {
	// EnsureTopics creates what is missing. Idempotent.
	EnsureTopics(ctx context.Context, topics ...Topic) error
	// Topics are the names of the topics that there are, sorted.
	Topics(ctx context.Context) ([]string, error)
	// DeleteTopics deletes topics with their records. One that is not there is none.
	DeleteTopics(ctx context.Context, topics ...string) error
}

// Durability says what a crash of the machine may take of what was stored.
type Durability int

const (
	// Durable is on disk when the call returns: an accepted event, an operator's
	// record.
	Durable Durability = iota
	// Step is as durable as the progress that is kept after it: a crash never
	// keeps the progress and loses the record. It is for a record made from
	// another one whose progress is kept afterwards: the output of a
	// transformation, a record of a poison queue. A broker that cannot tell the
	// two apart takes Step as Durable.
	Step
)

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
