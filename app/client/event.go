package client

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
)

// Event is one event as it is posted.
type Event struct {
	ID     string    // default: a new ULID, so that receivers recognise what is sent twice
	Type   string    // such as order.placed; may be empty
	Source string    // as in CloudEvents; may be empty
	Key    string    // ordering key, the user as a rule; default: none, which is no order to keep
	Time   time.Time // when it happened; default: when the server accepts it
	Data   any       // becomes the member data, by encoding/json; a json.RawMessage is kept as it is
}

// encode is the event as JSON, and its id.
func (e Event) encode() (body json.RawMessage, id string, err error) {
	if e.ID == "" {
		e.ID = ulid.Make().String()
	}
	posted := struct {
		ID     string     `json:"id"`
		Type   string     `json:"type,omitempty"`
		Source string     `json:"source,omitempty"`
		Key    string     `json:"key,omitempty"`
		Time   *time.Time `json:"time,omitempty"`
		Data   any        `json:"data,omitempty"`
	}{e.ID, e.Type, e.Source, e.Key, nil, e.Data}
	if !e.Time.IsZero() {
		posted.Time = &e.Time
	}
	if body, err = json.Marshal(posted); err != nil {
		return nil, e.ID, fmt.Errorf("client: encode event %s: %w", e.ID, err)
	}
	return body, e.ID, nil
}
