package infra

// A commit can carry a note of the consumer. A new claim asks the consumer which
// messages are done although no commit says so (SubscriberConfig.Resume). A consumer that
// stores its output can find them there, after a kill between output and commit.

// Resumption says where a claim begins.
type Resumption struct {
	Partition int32
	Position  int64 // the first offset that is not done
	// Note is the last committed note, of any owner of the partition. It is empty
	// without a commit, and after a reset of the group: then everything is made again.
	Note string
}

// Resumed is the consumer's answer to a Resumption.
type Resumed struct {
	// Note goes with every commit of the claim: at most MaxNote lower-case letters and
	// digits. Empty: no note.
	Note string
	// Done has the messages that are done although no commit says so, by offset. They
	// are not handed out, unless an earlier message of their key is: repeats of a key
	// are always its last part, so a receiver ends in the same state as before.
	Done map[int64]Identity
}

// Identity identifies a message by UUID and key.
type Identity struct{ UUID, Key string }

// MaxNote is the maximum length of a note.
const MaxNote = 24
