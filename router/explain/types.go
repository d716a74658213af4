package explain

import (
	"errors"
	"time"
)

// ErrNotFound says that there is no such event where it was looked for,
// ErrBadQuestion that the question must be put otherwise. Who wraps them says
// what to do.
var (
	ErrNotFound    = errors.New("not found")
	ErrBadQuestion = errors.New("cannot be looked for")
)

// Question is what is asked of an event.
type Question struct {
	ID          string
	Key         string    // "": not known
	Since       time.Time // it was accepted then or later; zero: not known
	Destination string    // "": of all
}

// States of an event at a destination.
const (
	StateFiltered       = "filtered"        // the destination does not want it
	StateNotTransformed = "not_transformed" // it waits in the topic of events
	StateWaiting        = "waiting"         // for its turn: see behind, or reason
	StateAttempt        = "attempt"         // an attempt is under way
	StateRetrying       = "retrying"        // an attempt failed; see next
	StateHeld           = "held"            // the destination refuses one user after the other, or their transformation fails
	StateBreaker        = "breaker"         // the destination fails and is paused
	StatePaused         = "paused"          // by an operator
	StateDelivered      = "delivered"       // the receiver has it
	StatePoisoned       = "poisoned"        // given up, in the poison queue
	StateDiscarded      = "discarded"       // given up, and an operator wants it no more
	StateTrimmed        = "trimmed"         // its record is deleted, so that nothing can be said
	StateNothing        = "nothing"         // done, and there is no trace of it; why has more
)

// Explanation is what is known of an event.
type Explanation struct {
	EventID      string                   `json:"event_id"`
	At           time.Time                `json:"at" doc:"Time of this answer"`
	Live         bool                     `json:"live" doc:"A server answered. Otherwise attempts, breakers and pauses are not known"`
	Accepted     []AcceptedAt             `json:"accepted" doc:"Places of the event in the topic events, in order. More than one when it was accepted again; none when its record is deleted"`
	Destinations []DestinationExplanation `json:"destinations"`
	Searched     []SearchedTopic          `json:"searched" doc:"The searched records"`
	Notes        []string                 `json:"notes" doc:"Notes: a search that ended early, an id that exists twice"`
}

// AcceptedAt is where an event was accepted.
type AcceptedAt struct {
	Topic       string    `json:"topic"`
	Partition   int32     `json:"partition"`
	Offset      int64     `json:"offset"`
	Stored      time.Time `json:"stored" doc:"When the broker stored it"`
	Received    time.Time `json:"received,omitzero" doc:"Time when the server accepted it; absent for an event of another program"`
	Key         string    `json:"key" doc:"Its ordering key: the user"`
	Type        string    `json:"type"`
	Source      string    `json:"source"`
	Undecodable string    `json:"undecodable,omitempty" doc:"Why the record cannot be read as an event"`
}

// DestinationExplanation is what became of an event at one destination.
type DestinationExplanation struct {
	ID    string `json:"id"`
	Kind  string `json:"kind"`
	State string `json:"state" enum:"filtered,not_transformed,waiting,attempt,retrying,breaker,held,paused,delivered,poisoned,discarded,trimmed,nothing"`
	Why   string `json:"why" doc:"In a sentence"`
	Do    string `json:"do" doc:"What to do about it; empty: nothing"`

	DeliveredAt time.Time         `json:"delivered_at,omitzero" doc:"Known for the last 4,096 deliveries since the server's start"`
	Attempts    int               `json:"attempts" doc:"Number of attempts, as far as it is known"`
	Limit       int               `json:"limit" doc:"Maximum number of failed attempts. Attempts that are the destination's fault do not count"`
	LastAnswer  string            `json:"last_answer,omitempty" doc:"Of the last attempt"`
	Since       time.Time         `json:"since,omitzero" doc:"Begin of this state"`
	Next        time.Time         `json:"next,omitzero" doc:"Time when it continues, where that is known"`
	Reason      string            `json:"reason,omitempty" doc:"What it waits for, as the label of eventserver_blocked_keys; of one that is poisoned, that reason"`
	Stage       string            `json:"stage,omitempty" doc:"Where it was poisoned or waits: transform or deliver"`
	Ahead       int64             `json:"ahead" doc:"Number of unfinished events before it: of its user in state waiting, of its partition in state not_transformed"`
	Behind      *BlockingEvent    `json:"behind,omitempty" doc:"The event of the same user that it waits behind"`
	Owner       string            `json:"owner,omitempty" doc:"The process that owns its partition. The admin API of that process knows more"`
	Records     []DeliveryRecord  `json:"records" doc:"In the destination's topic; the last counts"`
	Poison      []PoisonedAttempt `json:"poison" doc:"In the destination's poison queue"`
}

// BlockingEvent is an event that others of its user wait behind.
type BlockingEvent struct {
	EventID    string    `json:"event_id"`
	Partition  int32     `json:"partition"`
	Offset     int64     `json:"offset"`
	Reason     string    `json:"reason,omitempty" doc:"What it waits for; empty: not known"`
	Attempts   int       `json:"attempts"`
	Limit      int       `json:"limit"`
	LastAnswer string    `json:"last_answer,omitempty"`
	Since      time.Time `json:"since,omitzero"`
	Next       time.Time `json:"next,omitzero" doc:"Time of the next attempt"`
}

// DeliveryRecord is a record of a destination's topic.
type DeliveryRecord struct {
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Stored    time.Time `json:"stored"`
	Sequence  int64     `json:"sequence" doc:"Offset of its event"`
	Done      bool      `json:"done"`
	RedriveOf string    `json:"redrive_of,omitempty" doc:"The poison record that was redriven, partition:offset"`
}

// PoisonedAttempt is a record of a poison queue, in the words of poison.Item.
type PoisonedAttempt struct {
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Stored    time.Time `json:"stored"`
	Stage     string    `json:"stage"`
	Class     string    `json:"reason_class" doc:"receiver: it did not accept the event. pipeline: no delivery was made"`
	Reason    string    `json:"reason"`
	Detail    string    `json:"detail"`
	Attempts  int       `json:"attempts"`
	First     time.Time `json:"first_attempt,omitzero"`
	Last      time.Time `json:"last_attempt,omitzero"`
	Mark      string    `json:"mark,omitempty" doc:"redriven, discarded or skipped; empty: it is not settled"`
	MarkedBy  string    `json:"marked_by,omitempty"`
	MarkedAt  time.Time `json:"marked_at,omitzero"`
}

// SearchedTopic is what was read of a topic.
type SearchedTopic struct {
	Topic      string    `json:"topic"`
	Partitions int       `json:"partitions"`
	From       time.Time `json:"from,omitzero" doc:"Absent: from the beginning"`
	To         time.Time `json:"to,omitzero" doc:"Absent: to the end"`
	Records    int64     `json:"records"`
}
