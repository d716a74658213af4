package infra

// A commit can carry a note of the consumer's, and a claim asks what was done
// beside the commits (SubscriberConfig.Resume): a consumer that stores what it
// makes of its messages finds there what a kill kept from being committed.

// Resumption is where a claim begins.
type Resumption struct {
	Partition int32
	Position  int64 // the first offset that is not done
	// Note is the last one that was committed, by whoever owned the partition.
	// It is empty when nothing was, and when the group was set back since: what
	// was made before that must be made again.
	Note string
}

// Resumed is what the consumer says to that.
type Resumed struct {
	// Note goes with every commit of the claim: at most MaxNote lower-case
	// letters and digits. Empty: none.
	Note string
	// Done has messages that are done although no commit says so, by offset.
	// They are not handed out, unless an earlier one of their key was: what comes
	// again of a key is always its last part, so that a receiver ends with what
	// it ended with before.
	Done map[int64]Identity
}

// Identity is what a message must have to be the one that is meant.
type Identity struct{ UUID, Key string }

// MaxNote is the length of the longest note.
const MaxNote = 24
