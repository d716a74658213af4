package infra

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Reader reads topics beside the consumer groups, for people and tools. It commits and
// changes nothing.
type Reader interface {
	// Bounds returns the bounds of each partition of topic. At is the first offset that
	// was written at since or later, or End. With the zero time At is Oldest. The error
	// wraps ErrNoTopic where the topic does not exist.
	Bounds(ctx context.Context, topic string, since time.Time) (map[int32]Bounds, error)
	// Scan calls f with the messages of the given ranges, one call at a time. Messages of
	// a partition come by offset; at is the time when a message was stored. Scan returns
	// when every range is read, when f returns an error, or when ctx ends. It skips
	// deleted records. It retries an unreadable partition for some seconds. It also skips
	// damaged records; when everything else was read the error is a *DamageError.
	Scan(ctx context.Context, topic string, ranges map[int32]Range, f func(m *message.Message, at time.Time) error) error
	// Place returns the partition where the broker puts messages of key. Other programs
	// may use other partitions.
	Place(ctx context.Context, topic, key string) (int32, error)
}

// Readable turns the error of a Scan into nil where the only fault is damaged records,
// which the broker reports itself. It is for callers that take what can be read.
func Readable(err error) error {
	if errors.As(err, new(*DamageError)) {
		return nil
	}
	return err
}

// Bounds are the bounds of a partition.
type Bounds struct {
	Oldest int64 // first offset that exists
	At     int64 // first offset at or after the given time
	End    int64 // offset of the next message to come
}

// Range is a part of a partition.
type Range struct {
	From, To int64 // offsets; To is not in it
}

// Forever is the To of a Range without an end: Scan waits for new messages.
const Forever = math.MaxInt64

// ErrNoTopic is wrapped by the error of a question about a topic that does not exist.
var ErrNoTopic = errors.New("does not exist")

// Groups reads, resets and deletes the progress of consumer groups.
type Groups interface {
	// Progress returns the progress of groups in topics, in the order of the question. An
	// unknown group has done nothing. It asks for all at once; ProgressOf is for one.
	Progress(ctx context.Context, of ...GroupTopic) []GroupProgress
	// Members lists the members of the group.
	Members(ctx context.Context, group string) ([]Member, error)
	// Reset sets the offsets where the group begins at its next subscription. Partitions
	// that are not named keep theirs. The group must have no members: otherwise the
	// error wraps ErrGroupBusy and nothing is changed.
	Reset(ctx context.Context, group, topic string, to map[int32]int64) error
	// DeleteGroups deletes groups with their progress. A missing group is no error. When
	// one has members, the error wraps ErrGroupBusy.
	DeleteGroups(ctx context.Context, groups ...string) error
	// Leave gives up the static places that closed subscribers of this process keep in
	// group for a restart. Without such places it does nothing.
	Leave(ctx context.Context, group string) error
}

// ErrGroupBusy is wrapped by the error of a Reset of a group that has members.
var ErrGroupBusy = errors.New("the consumer group has members")

// GroupTopic names a group and a topic that it reads.
type GroupTopic struct{ Group, Topic string }

// GroupProgress is the progress of a group in a topic, by partition.
type GroupProgress struct {
	Partitions map[int32]Progress
	Err        error // wraps ErrNoTopic where the topic does not exist
}

// ProgressOf is the progress of one group in a topic.
func ProgressOf(ctx context.Context, groups Groups, group, topic string) (map[int32]Progress, error) {
	one := groups.Progress(ctx, GroupTopic{group, topic})[0]
	return one.Partitions, one.Err
}

// Progress is what a group has done of a partition.
type Progress struct {
	Oldest int64  // first offset that exists
	Next   int64  // first offset that is not done, or End; at least Oldest
	End    int64  // offset of the next message to come
	Above  []Span // done above Next, in order
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

// Undone is the number of offsets that are not done. A topic with gaps, such as those
// of transactions, has fewer messages.
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

// LagOf is the present Lag of a group.
func LagOf(ctx context.Context, groups Groups, group, topic string) (int64, error) {
	partitions, err := ProgressOf(ctx, groups, group, topic)
	return Lag(partitions), err
}

// Member is a member of a consumer group.
type Member struct {
	Client     string             // its client id
	Instance   string             // its static id; "" without one
	Host       string             // its address
	Partitions map[string][]int32 // its partitions, by topic
}
