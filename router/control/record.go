package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// Topic holds the records. It is never trimmed.
const Topic = "control"

// Topics lists what must exist before Open.
func Topics() []infra.Topic { return []infra.Topic{{Name: Topic, Keep: true}} }

// Kinds of records that this package reads; others are passed over.
const (
	Pause  = "pause"  // On: attempts are held back
	Replay = "replay" // On: the transform group is being set back; nobody may be in it
	From   = "from"   // On: a new destination begins at the offsets in Data; the first such record holds until one that ends it
	Hold   = "hold"   // a hold ends; it holds for the moment that it is read
	Retry  = "retry"  // pauses of the breaker and backoffs end; it holds for the moment that it is read
)

// Probe is a record that every reader passes over, to see whether the broker
// stores anything: as long as two pages of a disk, so that it does not fit into
// what is left of one that is begun.
func Probe() (topic string, m *message.Message) {
	m = message.NewMessage("", []byte(`{"kind":"probe","data":"`+strings.Repeat("0", 8<<10)+`"}`))
	m.Metadata.Set(infra.MetaKey, "probe")
	return Topic, m
}

// Record is what somebody did.
type Record struct {
	Kind        string    `json:"kind"`
	Destination string    `json:"destination"`
	On          bool      `json:"on"`
	ID          string    `json:"id"` // of the record; Put fills it in
	By          string    `json:"by,omitempty"`
	Why         string    `json:"why,omitempty"`
	At          time.Time `json:"at"`                 // Put fills it in
	Instance    string    `json:"instance,omitempty"` // that wrote it
	// Data is more of what a kind needs.
	Data json.RawMessage `json:"data,omitempty"`
}

func (r Record) encode() (*message.Message, error) {
	if r.Kind == "" || r.Destination == "" {
		return nil, errors.New("control: a record needs a kind and a destination")
	}
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	m := message.NewMessage(r.ID, body)
	m.Metadata.Set(infra.MetaKey, r.Destination)
	return m, nil
}

// errOther is a record of a kind that is not this package's.
var errOther = errors.New("control: a record of another kind")

func decode(m *message.Message) (Record, error) {
	var r Record
	var kind struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(m.Payload, &kind); err == nil && !slices.Contains([]string{Pause, Replay, Hold, Retry, From}, kind.Kind) {
		return r, errOther
	}
	if err := json.Unmarshal(m.Payload, &r); err != nil {
		return r, fmt.Errorf("control: record %d of partition %d: %w", infra.Offset(m), infra.Partition(m), err)
	}
	if r.Kind == "" || r.Destination == "" {
		return r, fmt.Errorf("control: record %d of partition %d has no kind or no destination", infra.Offset(m), infra.Partition(m))
	}
	return r, nil
}
