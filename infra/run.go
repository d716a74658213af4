package infra

import (
	"context"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Runs bounds the runs that a subscriber hands out. The zero value: it hands out
// single messages.
type Runs struct {
	Messages int // most of one partition
	Bytes    int // most of keys, headers and values of a partition; a larger message comes alone
}

// On reports whether messages come in runs.
func (r Runs) On() bool { return r.Messages > 0 }

// Run is what a subscriber has at a moment: of each partition a stretch. One Watermill
// message stands for it, without payload and metadata, and RunOf finds it. A partition
// is in one run at a time.
//
// When the message is acked, the parts that are not stored have come to nothing and are
// done. When it is nacked they come again.
type Run struct {
	RunOwner

	Parts []*Part
}

// RunOwner is the subscriber that handed out a run.
type RunOwner interface {
	// Store stores what parts came to, in this order, and with it that they are done:
	// their partitions go on. Where the broker can, both are stored or neither; where it
	// cannot, they come again after a kill between the two.
	//
	// After a *PublishError the parts of the outputs that it names are not done, and those
	// outputs are to be stored by another call, and no other. After any other error nothing
	// is done.
	Store(out []Output, done ...*Part) error
	// Made says that a message was made of a part: it counts as held until the part is
	// done. full: the parts that are ready are to be stored before more is made.
	Made(of *Part, m *message.Message) (full bool)
	// Aside says that the run takes long, so that partitions that are not in it go on.
	Aside()
}

// Only leaves messages out of runs. They count as done, and a subscriber that has read
// everything is not woken for them; that they are done is kept some seconds later.
type Only struct {
	// Header is the metadata key whose value Match is asked about; "" where a message
	// has none. Match always says the same of a value. nil: nothing is left out.
	Header string
	Match  func(value string) bool
	// Mark is a metadata key that every message of this program has. One without it is
	// handed out whatever Match says.
	Mark string
	// Skipped is told how many were left out, some seconds later. nil: nobody is.
	Skipped func(n int)
}

// Part is a stretch of a partition: the messages in it that are not done, in offset
// order. Other subscriptions may be given the same messages: nobody writes to them or
// acks them, and their contexts say nothing of the run.
type Part struct {
	Partition int32
	Messages  []*message.Message
}

// Output is a message that a part of a run came to. It is stored in the partition of
// the part's number, or, where its topic has fewer, in that of the remainder.
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

// RunOf returns the run that a message stands for; nil: it is a message itself.
func RunOf(m *message.Message) *Run {
	r, _ := m.Context().Value(runKey{}).(*Run)
	return r
}

type derivedKey struct{}

// derived is what was made of a message.
type derived struct {
	once sync.Once
	made any
}

// WithDerived is for brokers: a context for a message that several are given.
func WithDerived(ctx context.Context) context.Context {
	return context.WithValue(ctx, derivedKey{}, &derived{})
}

// Derived is what f makes of m. A message that several are given is given to f once, so
// that there is one f for each topic, and nobody writes to what it makes.
func Derived(m *message.Message, f func(m *message.Message) any) any {
	d, ok := m.Context().Value(derivedKey{}).(*derived)
	if !ok {
		return f(m)
	}
	d.once.Do(func() { d.made = f(m) })
	return d.made
}

// Unacked makes a message that nobody acks, such as one that is published or that stands
// in a run. It has no channels for that.
func Unacked(uuid string, payload message.Payload, metadata message.Metadata) *message.Message {
	return &message.Message{UUID: uuid, Payload: payload, Metadata: metadata}
}
