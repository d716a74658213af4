package infra

import (
	"context"
	"errors"
	"time"
)

// Log is what a broker implements: topics of partitions of records, and how far
// each consumer group has come. Everything else, the Watermill Publisher and
// Subscriber, the read window, exact commits and the order of keys, stands once
// above it, in infra/pubsub. brokertest tests both together. Its methods are safe
// for concurrent use.
type Log interface {
	LogTopics
	LogRecords
	LogGroups
	// Limits does not change.
	Limits() Limits
	// Ping asks whether the log can be read and written now. An error names the cause.
	Ping(ctx context.Context) error
	// Close releases everything. Claims end before it returns. Later calls do nothing.
	Close() error
}

// Limits is what a log takes.
type Limits struct {
	RecordBytes   int // of one record: key, headers and value; at least 1 MiB
	ProgressBytes int // of Position.Text; at least 1 KiB. Kafka: 4096
	// Whole is whether a batch is stored whole or not at all.
	Whole bool
}

// LogTopics creates, lists, trims and deletes topics.
type LogTopics interface {
	// CreateTopics creates what is missing. The number of partitions is the log's
	// to configure.
	CreateTopics(ctx context.Context, topics ...Topic) error
	// Topics are the names of the topics that there are, sorted.
	Topics(ctx context.Context) ([]string, error)
	// DeleteTopics deletes topics with their records and every group's progress in
	// them. A missing topic is no error.
	DeleteTopics(ctx context.Context, topics ...string) error
	// Bounds is what each partition of a topic holds, as Reader.Bounds says. The
	// error wraps ErrNoTopic where there is no such topic.
	Bounds(ctx context.Context, topic string, since time.Time) (map[int32]Bounds, error)
	// Trim deletes the records of a topic below the given offsets. Bounds.End
	// never goes back, also when everything is deleted.
	Trim(ctx context.Context, topic string, below map[int32]int64) error
}

// LogRecords appends and reads records.
type LogRecords interface {
	// Append stores a batch and sets the Offset and Time of its records. Records of
	// one partition get rising offsets in the order of the batch, and a batch that
	// was appended before another call began has the lower ones. The log may go on
	// using the records and their bytes, and nobody writes to them any more.
	//
	// Where Limits says so, the batch is stored whole or not at all. Elsewhere
	// the progress is stored after every record, and the error of a partial append is
	// an *AppendError. It never is the other way round: progress without the records.
	// Behind a failed record every other one of its partition counts as failed, but
	// behind one that is too large: whoever appends again what failed has it in order.
	Append(ctx context.Context, b Batch) error
	// Open reads a partition from an offset on. An offset below the oldest record
	// begins there.
	Open(ctx context.Context, topic string, partition int32, from int64) (Cursor, error)
}

// Batch is what one Append stores.
type Batch struct {
	Records  []*Record
	Progress []Progressed
	// Durability says what a crash of the machine may take. Durable: nothing, once
	// Append has returned. Step: the batch, but then also everything appended or
	// kept after it, so that progress never outlives the records it stands for. A
	// kill of the process takes at most the last milliseconds of what is a Step.
	Durability Durability
}

// Record is what stands on a topic.
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
	// Read returns the next records in offset order: about maxBytes of them, at
	// least one where there is one, and none at the end, without waiting for more.
	// Records that were trimmed meanwhile are passed over. What it returns is the
	// caller's. Other cursors may be given the same bytes, so nobody writes to them.
	// An error that wraps a *DamageError names offsets that cannot be read: the next
	// Read goes on behind them.
	Read(ctx context.Context, maxBytes int) ([]*Record, error)
	// More has a value when records may have come since a Read returned none. It
	// may have one without cause.
	More() <-chan struct{}
	// Close releases the cursor.
	Close()
}

// DamageError tells of records that are stored and cannot be read.
type DamageError struct {
	Topic     string
	Partition int32
	Offsets   Span   // the records that are lost, as far as that is known
	File      string // where the damage is; "" when it is not known
	Err       error
}

func (e *DamageError) Error() string { return e.Err.Error() }
func (e *DamageError) Unwrap() error { return e.Err }

// LogGroups keeps what consumer groups have done, and hands out partitions to
// their members.
type LogGroups interface {
	// Join makes the caller a member of group for one topic. own is called, each
	// time in a goroutine of its own, for every partition the member is given. The
	// partition is given up when own returns, unless that held it (Claim.Hold), and no
	// other member of the group has it before. Leaving the group is Membership.Close.
	Join(ctx context.Context, group, topic string, own func(Claim)) (Membership, error)
	// Keep stores progress soon: within milliseconds, and not before what was
	// appended earlier. It is for partitions that the caller owns: one that a Claim
	// gave it and that is not given up.
	Keep(ctx context.Context, p ...Progressed) error
	// Kept is the progress in topic, by group and partition: of the given groups, as
	// far as they have some, or without any given of every group that has some.
	Kept(ctx context.Context, topic string, groups ...string) (map[string]map[int32]Position, error)
	// Look is Bounds, and then Kept of one group, for many groups and topics, in the
	// order they are asked for. It takes a log as few requests as it can: LookEach is
	// for those that make none.
	Look(ctx context.Context, of ...GroupTopic) []Looked
	// Members lists who reads in the group now.
	Members(ctx context.Context, group string) ([]Member, error)
	// Reset keeps progress in a group that has no members: otherwise the error
	// wraps ErrGroupBusy and nothing is changed. It is durable. The offsets are within
	// the topic's Bounds.
	Reset(ctx context.Context, group, topic string, to map[int32]int64) error
	// DeleteGroups deletes groups with their progress, durably. A missing group is no
	// error. When one has members the error wraps ErrGroupBusy and none is deleted.
	DeleteGroups(ctx context.Context, groups ...string) error
	// Leave gives up the places that closed memberships of this process have kept.
	Leave(ctx context.Context, group string) error
}

// Looked is what a topic holds, and what a group has kept in it, by partition.
type Looked struct {
	Bounds map[int32]Bounds
	Kept   map[int32]Position
	Err    error
}

// LookEach is the Look of a log by its Bounds and Kept.
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

// Position is how far a group has come in a partition.
type Position struct {
	Next int64 // the first offset that is not done
	// Text says more: what is done above Next, and a note of the consumer's
	// (infra/progress encodes it). A log stores it as it is.
	Text string
}

// Progressed is a position of a group.
type Progressed struct {
	Group, Topic string
	Partition    int32
	Position     Position
}

// Claim is the ownership of a partition.
type Claim struct {
	// Context ends when the partition must be given up. Its cause is
	// ErrLost when another member may own it already: nothing may then be finished or
	// kept. Otherwise the log waits for own to return.
	Context   context.Context
	Topic     string
	Partition int32
	Position  Position // what was kept last; Next is the oldest record's offset where nothing was

	holding *holding
}

type holding struct {
	held   bool
	giveUp func()
}

// Hold lets own return before the partition is given up, so that a claim that is idle
// costs no goroutine. giveUp is called once, and takes what giving up takes.
func (c Claim) Hold() (giveUp func()) {
	c.holding.held = true
	return c.holding.giveUp
}

// Give is for logs: it calls own, and giveUp when the partition is given up.
func (c Claim) Give(own func(Claim), giveUp func()) {
	c.holding = &holding{giveUp: giveUp}
	own(c)
	if !c.holding.held {
		giveUp()
	}
}

// Membership is one member of a group.
type Membership interface {
	// Assigned reports whether the member has joined: it has been told its
	// partitions, also when they are none.
	Assigned() bool
	// Close ends the claims, waits for their own functions and leaves the group.
	Close() error
}

// ErrLost is the cause of a Claim's context when the log gave the partition to
// another member without waiting.
var ErrLost = errors.New("the partition was given to another member")
