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

// Broker stores messages in topics. Every broker has every method, and returns the zero
// value where it has nothing to say. Nobody finds out about methods by type assertion.
type Broker interface {
	Topics
	Reader
	Groups
	// Publisher returns the shared publisher. The broker closes it; a caller's Close
	// does nothing. Publish returns when the messages are stored as durably as d says.
	// A failed Publish may have stored some of them. It is safe for concurrent use.
	Publisher(d Durability) message.Publisher
	// Subscriber returns a new subscriber in a consumer group. The caller
	// closes it.
	Subscriber(group string, cfg SubscriberConfig) (Subscriber, error)
	// AllowRelease makes subscribers wait at least d for their handlers when they give
	// a partition up. A running subscription has already told its group how long a
	// rebalance may take: for the group d counts from the next subscription on.
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
	// Topics are the names of all topics, sorted.
	Topics(ctx context.Context) ([]string, error)
	// DeleteTopics deletes topics with their records. A missing topic is no error.
	DeleteTopics(ctx context.Context, topics ...string) error
}

// Durability says which stored messages a crash of the machine may lose.
type Durability int

const (
	// Durable is on disk when the call returns: an accepted event, an operator's
	// record.
	Durable Durability = iota
	// Step is as durable as the progress that is kept after it: a crash never keeps the
	// progress and loses the record. It is for a record made from another record whose
	// progress is kept afterwards, such as the output of a transformation. A broker
	// without the distinction treats Step as Durable.
	Step
)

// ErrTooLarge is wrapped by the error of a Publish with a message that is too large. A
// retry does not help.
var ErrTooLarge = errors.New("message is larger than the broker takes")

// PublishError is the error of a Publish that stored only some of its messages.
type PublishError struct {
	Failed []*message.Message // not stored, or not known to be
	Err    error              // of the first
}

func (e *PublishError) Error() string { return e.Err.Error() }
func (e *PublishError) Unwrap() error { return e.Err }

// Offset returns the offset of a received message, or -1.
func Offset(m *message.Message) int64 {
	n, err := strconv.ParseInt(m.Metadata.Get(MetaOffset), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// Partition returns the partition of a received message, or -1.
func Partition(m *message.Message) int32 {
	n, err := strconv.ParseInt(m.Metadata.Get(MetaPartition), 10, 32)
	if err != nil {
		return -1
	}
	return int32(n)
}
