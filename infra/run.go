package infra

import (
	"context"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Runs bounds the runs that a subscriber hands out. With the zero value it hands out
// single messages.
type Runs struct {
	Messages int // maximum per partition
	Bytes    int // maximum of keys, headers and values per partition; a larger message comes alone
}

// On reports whether messages come in runs.
func (r Runs) On() bool { return r.Messages > 0 }

// Run is everything that a subscriber has at a moment: a stretch of each partition. One
// Watermill message without payload and metadata stands for it, and RunOf finds it. A
// partition is in one run at a time.
//
// An ack means that the parts that were not stored have no output, and are done. After a
// nack they are handed out again.
type Run struct {
	RunOwner

	Parts []*Part
}

// RunOwner is the subscriber that handed out a run.
type RunOwner interface {
	// Store stores the outputs of parts, in this order, together with the progress of the
	// parts in done. Their partitions continue. A broker stores both or neither where it
	// can; elsewhere the parts are handed out again after a kill between the two.
	//
	// After a *PublishError the parts of the outputs that it names are not done. The
	// caller stores exactly those outputs by another call. After any other error no part
	// is done.
	Store(out []Output, done ...*Part) error
	// Made reports that m was made of a part. Its memory is charged until the part is
	// done. full: store the ready parts before making more.
	Made(of *Part, m *message.Message) (full bool)
	// Aside reports that the run takes long. Partitions outside of it continue.
	Aside()
}

// Only leaves messages out of runs. They count as done, and do not wake a subscriber that
// has read everything. Their progress is kept some seconds later.
type Only struct {
	// Header is the metadata key whose value Match decides on; the value is "" where a
	// message has none. Match is a pure function. nil: nothing is left out.
	Header string
	Match  func(value string) bool
	// Mark is a metadata key that every message of this program has. A message without
	// it is always handed out.
	Mark string
	// Skipped is called some seconds later with the number of messages left out. It may
	// be nil.
	Skipped func(n int)
}

// Part is a stretch of a partition: its undone messages in offset order. Other
// subscriptions may have the same messages, so nobody changes or acks them. Their contexts
// say nothing about the run.
type Part struct {
	Partition int32
	Messages  []*message.Message
}

// Output is a message made of a part. It is stored in the partition of the part's number,
// modulo the number of partitions of its topic.
type Output struct {
	Part    *Part
	Topic   string
	Message *message.Message
}

type runKey struct{}

// WithRun puts r into the context of the message that stands for it.
func WithRun(ctx context.Context, r *Run) context.Context {
	return context.WithValue(ctx, runKey{}, r)
}

// RunOf returns the run that a message stands for, or nil for a single message.
func RunOf(m *message.Message) *Run {
	r, _ := m.Context().Value(runKey{}).(*Run)
	return r
}

type derivedKey struct{}

// derived holds the value that was made of a message.
type derived struct {
	once sync.Once
	made any
}

// WithDerived is for brokers: the context of a message that several subscriptions share.
func WithDerived(ctx context.Context) context.Context {
	return context.WithValue(ctx, derivedKey{}, &derived{})
}

// Derived returns f(m). For a shared message f is called once, so a topic has only one f,
// and nobody changes its result.
func Derived(m *message.Message, f func(m *message.Message) any) any {
	d, ok := m.Context().Value(derivedKey{}).(*derived)
	if !ok {
		return f(m)
	}
	d.once.Do(func() { d.made = f(m) })
	return d.made
}

// Unacked makes a message that is never acked, such as a published one or one in a run.
// It has no channels.
func Unacked(uuid string, payload message.Payload, metadata message.Metadata) *message.Message {
	return &message.Message{UUID: uuid, Payload: payload, Metadata: metadata}
}
