package infra

import (
	"context"
	"errors"
	"time"
)

// Log is what a kind of broker implements: topics of partitions of records, and the
// progress of consumer groups. Everything else is in infra/pubsub, once for every log:
// the Watermill Publisher and Subscriber, the read window, exact commits and the order
// of keys. brokertest tests both together. The methods are safe for concurrent use.
type Log interface {
	LogTopics
	LogRecords
	LogGroups
	// Limits does not change.
	Limits() Limits
	// Ping reports whether the log can be read and written now. An error names the cause.
	Ping(ctx context.Context) error
	// Close releases everything. Claims end before it returns. Later calls do nothing.
	Close() error
}

// Limits are the limits of a log.
type Limits struct {
	RecordBytes   int // of one record: key, headers and value; at least 1 MiB
	ProgressBytes int // of Position.Text; at least 1 KiB. Kafka: 4096
	// Whole is whether a batch is stored whole or not at all.
	Whole bool
}

// LogTopics creates, lists, trims and deletes topics.
type LogTopics interface {
	// CreateTopics creates missing topics. The log's configuration has the number of
	// partitions.
	CreateTopics(ctx context.Context, topics ...Topic) error
	// Topics are the names of all topics, sorted.
	Topics(ctx context.Context) ([]string, error)
	// DeleteTopics deletes topics with their records and every group's progress in
	// them. A missing topic is no error.
	DeleteTopics(ctx context.Context, topics ...string) error
	// Bounds are the bounds of each partition, as Reader.Bounds returns them. The error
	// wraps ErrNoTopic where the topic does not exist.
	Bounds(ctx context.Context, topic string, since time.Time) (map[int32]Bounds, error)
	// Trim deletes the records of a topic below the given offsets. Bounds.End
	// never goes back, also when everything is deleted.
	Trim(ctx context.Context, topic string, below map[int32]int64) error
}

// LogRecords appends and reads records.
type LogRecords interface {
	// Append stores a batch and sets the Offset and Time of its records. Offsets in a
	// partition rise in the order of the batch. A batch whose Append returned before
	// another call began has the lower offsets. The log may keep the records and their
	// bytes, so the caller does not change them afterwards.
	//
	// With Limits.Whole the batch is stored whole or not at all. Otherwise the progress
	// is stored after every record, never before, and the error of a partial append is
	// an *AppendError. After a failed record all later records of its partition count as
	// failed, unless it failed for its size. So appending the failed ones again keeps
	// the order.
	Append(ctx context.Context, b Batch) error
	// Open reads a partition from an offset on. An offset below the oldest record
	// begins there.
	Open(ctx context.Context, topic string, partition int32, from int64) (Cursor, error)
}

// Batch is what one Append stores.
type Batch struct {
	Records  []*Record
	Progress []Progressed
	// Durability says what a crash of the machine may lose. Durable: nothing, once
	// Append has returned. Step: the batch, but then also everything that was appended
	// or kept later, so that progress never outlives its records. A kill of the process
	// loses at most the last milliseconds of Step batches.
	Durability Durability
}

// Record is a record of a topic.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64     // set by the log
	Time      time.Time // when it was stored, set by the log; it never goes back within a partition
	Key       []byte
	Headers   []Header
	Value     []byte
}

// Header is one of a record's headers. Names may repeat.
type Header struct{ Key, Value []byte }

// AppendError is the error of an Append that stored some of its records.
type AppendError struct {
	Failed []int // indexes into Batch.Records: not stored, or not known to be
	Err    error // of the first
}

func (e *AppendError) Error() string { return e.Err.Error() }
func (e *AppendError) Unwrap() error { return e.Err }

// Cursor reads one partition. It is used by one goroutine at a time.
type Cursor interface {
	// Read returns the next records in offset order: about maxBytes of them, at least
	// one where there is one, and none at the end. It does not wait for more. It skips
	// records that were trimmed meanwhile. The slice belongs to the caller. Other
	// cursors may return the same bytes, so nobody writes to them. An error that wraps a
	// *DamageError names offsets that cannot be read: the next Read continues behind
	// them.
	Read(ctx context.Context, maxBytes int) ([]*Record, error)
	// More receives a value when records may have come since a Read returned none. A
	// value without new records is possible.
	More() <-chan struct{}
	// Close releases the cursor.
	Close()
}

// DamageError names stored records that cannot be read.
type DamageError struct {
	Topic     string
	Partition int32
	Offsets   Span   // the lost records, as far as they are known
	File      string // where the damage is; "" when it is not known
	Err       error
}

func (e *DamageError) Error() string { return e.Err.Error() }
func (e *DamageError) Unwrap() error { return e.Err }

// LogGroups keeps the progress of consumer groups, and gives partitions to their
// members.
type LogGroups interface {
	// Join makes the caller a member of group for one topic. own is called for every
	// partition that the member gets, each time in its own goroutine. The partition is
	// given up when own returns, unless own called Claim.Hold. No other member of the
	// group has it before. Membership.Close leaves the group.
	Join(ctx context.Context, group, topic string, own func(Claim)) (Membership, error)
	// Keep stores progress within milliseconds, and never before records that were
	// appended earlier. The caller must own the partitions: a Claim gave them to it, and
	// it has not given them up.
	Keep(ctx context.Context, p ...Progressed) error
	// Kept is the progress in topic, by group and partition: of the given groups, or of
	// every group where none is given. A group without progress is absent.
	Kept(ctx context.Context, topic string, groups ...string) (map[string]map[int32]Position, error)
	// Look is Bounds and then Kept, for many groups and topics, in the order of the
	// question, with as few requests as possible. LookEach implements it for a log
	// without requests.
	Look(ctx context.Context, of ...GroupTopic) []Looked
	// Members lists the members of the group.
	Members(ctx context.Context, group string) ([]Member, error)
	// Reset sets the progress of a group without members, durably. Where the group has
	// members the error wraps ErrGroupBusy and nothing is changed. The offsets are within
	// the topic's Bounds.
	Reset(ctx context.Context, group, topic string, to map[int32]int64) error
	// DeleteGroups deletes groups with their progress, durably. A missing group is no
	// error. When one has members the error wraps ErrGroupBusy and none is deleted.
	DeleteGroups(ctx context.Context, groups ...string) error
	// Leave gives up the static places of this process's closed memberships.
	Leave(ctx context.Context, group string) error
}

// Looked has the bounds of a topic and the progress of a group in it, by partition.
type Looked struct {
	Bounds map[int32]Bounds
	Kept   map[int32]Position
	Err    error
}

// LookEach implements Look by Bounds and Kept.
func LookEach(ctx context.Context, l Log, of ...GroupTopic) []Looked {
	out := make([]Looked, len(of))
	bounds := map[string]Looked{} // by topic
	for i, one := range of {
		have, known := bounds[one.Topic]
		if !known {
			have.Bounds, have.Err = l.Bounds(ctx, one.Topic, time.Time{})
			bounds[one.Topic] = have
		}
		if have.Err == nil {
			var kept map[string]map[int32]Position
			kept, have.Err = l.Kept(ctx, one.Topic, one.Group)
			have.Kept = kept[one.Group]
		}
		out[i] = have
	}
	return out
}

// Position is the stored progress of a group in a partition.
type Position struct {
	Next int64 // the first offset that is not done
	// Text has the rest: what is done above Next, and a note of the consumer
	// (infra/progress encodes it). A log stores it unchanged.
	Text string
}

// Progressed is a position of a group.
type Progressed struct {
	Group, Topic string
	Partition    int32
	Position     Position
}

// Claim is the ownership of a partition by a member.
type Claim struct {
	// Context ends when the partition must be given up. Its cause is ErrLost when
	// another member may own the partition already: then nothing may be finished or
	// kept. Otherwise the log waits for own to return.
	Context   context.Context
	Topic     string
	Partition int32
	Position  Position // kept last; without one, Next is the offset of the oldest record

	holding *holding
}

type holding struct {
	held   bool
	giveUp func()
}

// Hold lets own return before the partition is given up, so that an idle claim costs no
// goroutine. The caller calls giveUp once; it returns when the partition is given up.
func (c Claim) Hold() (giveUp func()) {
	c.holding.held = true
	return c.holding.giveUp
}

// Give is for logs. It calls own, and then giveUp unless own called Hold.
func (c Claim) Give(own func(Claim), giveUp func()) {
	c.holding = &holding{giveUp: giveUp}
	own(c)
	if !c.holding.held {
		giveUp()
	}
}

// Membership is one member of a group.
type Membership interface {
	// Assigned reports whether the member has joined and knows its partitions, even if
	// it has none.
	Assigned() bool
	// Close ends the claims, waits until their own functions return, and leaves the group.
	Close() error
}

// ErrLost is the cause of a Claim's context when the log gave the partition to
// another member without waiting.
var ErrLost = errors.New("the partition was given to another member")
