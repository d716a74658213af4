package app

import (
	"encoding/json"
	"fmt"
	"io"
)

// Rehearsal is what a destination would get of one event.
type Rehearsal struct {
	Index       int
	EventID     string
	Sent        bool // false: the destination does not want it, or Fault
	ContentType string
	Payload     []byte
	Fault       string // why the event would go to the poison queue

	err error
}

// Err is nil unless the event would go to the poison queue.
func (r Rehearsal) Err() error {
	if r.err == nil {
		return nil
	}
	return fmt.Errorf("event %d (%s) would go to the poison queue: %w", r.Index, r.EventID, r.err)
}

// Write writes the payload on one line, or that there is none. What Err says is
// not written.
func (r Rehearsal) Write(w io.Writer) (err error) {
	switch {
	case r.Sent:
		_, err = fmt.Fprintf(w, "%s\n", r.Payload)
	case r.err == nil:
		_, err = fmt.Fprintf(w, "event %d (%s): not sent: the destination does not want it\n", r.Index, r.EventID)
	}
	return err
}

// MarshalJSON gives a payload of JSON as it is, any other as a text.
func (r Rehearsal) MarshalJSON() ([]byte, error) {
	payload := json.RawMessage(r.Payload)
	if r.Sent && !json.Valid(r.Payload) {
		text, err := json.Marshal(string(r.Payload))
		if err != nil {
			return nil, err
		}
		payload = text
	}
	return json.Marshal(struct {
		Index       int             `json:"index"`
		EventID     string          `json:"event_id"`
		Sent        bool            `json:"sent"`
		ContentType string          `json:"content_type,omitempty"`
		Payload     json.RawMessage `json:"payload,omitempty"`
		Fault       string          `json:"fault,omitempty"`
	}{r.Index, r.EventID, r.Sent, r.ContentType, payload, r.Fault})
}
