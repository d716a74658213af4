package file

import (
	"bytes"
	"encoding/json"
	"time"
	"unicode/utf8"

	"eventserver/destinations"
)

type envelope struct {
	ID         string          `json:"id"`
	EventID    string          `json:"event_id"`
	Type       string          `json:"type"`
	Key        string          `json:"key"`
	Attempt    int             `json:"attempt"`
	Redrives   int             `json:"redrives,omitempty"`
	Sequence   *int64          `json:"sequence,omitempty"`
	Time       time.Time       `json:"time,omitzero"`
	ReceivedAt time.Time       `json:"received_at,omitzero"`
	Data       json.RawMessage `json:"data,omitempty"`
	DataBase64 []byte          `json:"data_base64,omitempty"`
}

// makeLine is the line of a delivery, with the newline at its end and no other.
func makeLine(del destinations.Delivery, enveloped bool) ([]byte, error) {
	body := del.Payload.Body
	var b bytes.Buffer
	switch {
	case len(body) == 0:
		b.WriteString("null")
	case !utf8.Valid(body):
		if !enveloped {
			return encode(map[string][]byte{"data_base64": body})
		}
	case json.Valid(body):
		if err := json.Compact(&b, body); err != nil {
			return nil, err
		}
	default:
		text, err := encode(string(body))
		if err != nil {
			return nil, err
		}
		b.Write(bytes.TrimSuffix(text, []byte("\n")))
	}
	if !enveloped {
		b.WriteByte('\n')
		return b.Bytes(), nil
	}
	e := envelope{
		ID: del.ID, EventID: del.EventID, Type: del.EventType, Key: del.Key, Attempt: del.Attempt, Redrives: del.Redrives,
		Time: del.Time.UTC(), ReceivedAt: del.ReceivedAt.UTC(), Data: b.Bytes(),
	}
	if del.Sequence >= 0 {
		e.Sequence = &del.Sequence
	}
	if b.Len() == 0 {
		e.DataBase64 = body
	}
	return encode(e)
}

// encode is json.Marshal and a newline, without the escapes for HTML: numbers
// and text of a body stay byte for byte what they were.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
