package infra

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Reader reads topics beside the consumer groups, for people and tools to look
// at: nothing is committed or changed.
type Reader interface {
	// Bounds tells what each partition of topic holds. since narrows it: At is
	// the first offset written then or later, End where there is none; with the
	// zero time At is Oldest. The error wraps ErrNoTopic where it says so.
	Bounds(ctx context.Context, topic string, since time.Time) (map[int32]Bounds, error)
	// Scan hands f the messages of the given ranges, those of a partition by
	// offset, one call at a time; at is when a message was stored. It returns
	// when every range is read, when f returns an error, which it returns, or
	// when ctx ends. What was deleted meanwhile is passed over. A partition
	// that cannot be read is tried again for some seconds. Records that are damaged
	// are passed over too, and the error, when all else was read, is a *DamageError.
	Scan(ctx context.Context, topic string, ranges map[int32]Range, f func(m *message.Message, at time.Time) error) error
	// Place returns the partition where the broker puts messages of key. Other
	// programs may have put theirs elsewhere.
	Place(ctx context.Context, topic, key string) (int32, error)
}

// Readable is the error of a Scan for those who take what can be read: nil where all
// that is wrong is that records are damaged, of which the broker itself tells.
func Readable(err error) error {
	if errors.As(err, new(*DamageError)) {
		return nil
	}
	return err
}

// Bounds is what a partition holds.
type Bounds struct {
	Oldest int64 // first offset that is there
	At     int64 // first offset of the time that was asked for
	End    int64 // offset of the next message to come
}

// Range is a part of a partition.
type Range struct {
	From, To int64 // offsets; To is not in it
}

// Forever is the To of a Range that is followed as messages come.
const Forever = math.MaxInt64

// ErrNoTopic is wrapped by the error of a question about a topic that does not exist.
var ErrNoTopic = errors.New("does not exist")

// Groups looks at consumer groups, sets them back and deletes them.
type Groups interface {
	// Progress tells what groups have done of topics, in the order they are asked for.
	// A group that has never been there has done nothing. It asks for all at once:
	// ProgressOf is for one.
	Progress(ctx context.Context, of ...GroupTopic) []GroupProgress
	// Members lists who reads in the group now.
	Members(ctx context.Context, group string) ([]Member, error)
	// Reset makes the group begin at the given offsets when it is subscribed
	// next; partitions that are not named keep theirs. The group must have no
	// members: otherwise the error wraps ErrGroupBusy and nothing is changed.
	Reset(ctx context.Context, group, topic string, to map[int32]int64) error
	// DeleteGroups deletes groups with all that they have committed. One that is not
	// there is none. When one has members, the error wraps ErrGroupBusy.
	DeleteGroups(ctx context.Context, groups ...string) error
	// Leave gives up the places that closed subscribers of this process have
	// kept in group, so that a restart finds their partitions. Where they keep
	// none it does nothing.
	Leave(ctx context.Context, group string) error
}

// ErrGroupBusy is wrapped by the error of a Reset of a group that has members.
var ErrGroupBusy = errors.New("the consumer group has members")

// GroupTopic is a group's reading of a topic.
type GroupTopic struct{ Group, Topic string }

// GroupProgress is what a group has done of a topic, by partition.
type GroupProgress struct {
	Partitions map[int32]Progress
	Err        error // wraps ErrNoTopic where there is no such topic
}

// ProgressOf is what one group has done of a topic.
func ProgressOf(ctx context.Context, groups Groups, group, topic string) (map[int32]Progress, error) {
	one := groups.Progress(ctx, GroupTopic{group, topic})[0]
	return one.Partitions, one.Err
}

// Progress is what a group has done of a partition.
type Progress struct {
	Oldest int64  // first offset that is there
	Next   int64  // first offset that is not done, or End; at least Oldest
	End    int64  // offset of the next message to come
	Above  []Span // done all the same, above Next, in order
}

// Span is a run of offsets; To is not in it.
type Span struct{ From, To int64 }

// Done reports whether the message at offset is done.
func (p Progress) Done(offset int64) bool {
	if offset < p.Next {
		return true
	}
	for _, s := range p.Above {
		if offset >= s.From && offset < s.To {
			return true
		}
	}
	return false
}

// Undone is the number of offsets that are not done. Where a topic has gaps,
// such as those of transactions, there are fewer messages.
func (p Progress) Undone() int64 {
	n := p.End - p.Next
	for _, s := range p.Above {
		n -= s.To - s.From
	}
	return max(n, 0)
}

// Lag is the number of messages of a topic that a group has not done.
func Lag(partitions map[int32]Progress) (n int64) {
	for _, p := range partitions {
		n += p.Undone()
	}
	return n
}

// LagOf is the Lag of a group, as it is now.
func LagOf(ctx context.Context, groups Groups, group, topic string) (int64, error) {
	partitions, err := ProgressOf(ctx, groups, group, topic)
	return Lag(partitions), err
}

// Member is one that reads in a consumer group.
type Member struct {
	Client     string             // the name it gave itself
	Instance   string             // its static id; "" without one
	Host       string             // where it connects from
	Partitions map[string][]int32 // what it has been given, by topic
}
