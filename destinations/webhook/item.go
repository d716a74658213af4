package webhook

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"

	"eventserver/destinations"
)

// appendItem writes one delivery in the body of a batch: what is in headers
// otherwise, and the payload as it is. encoding/json would compact and escape that,
// and takes a tenth of the CPU of an event.
func appendItem(body []byte, del destinations.Delivery) ([]byte, error) {
	b := object{buf: append(body, '{')}
	b.name("event_id")
	b.quoted(del.EventID)
	b.text("event_type", del.EventType)
	b.name("key")
	b.quoted(del.Key)
	b.name("delivery_id")
	b.quoted(del.ID)
	b.number("attempt", int64(del.Attempt))
	if del.Redrives != 0 {
		b.number("redrives", int64(del.Redrives))
	}
	if del.Sequence >= 0 {
		b.number("sequence", del.Sequence)
	}
	b.time("time", del.Time)
	b.time("received_at", del.ReceivedAt)
	b.texts("metadata", del.Metadata) // these two are headers of a request without batches
	b.texts("headers", del.Payload.Headers)
	b.text("content_type", del.Payload.ContentType)
	data := del.Payload.Body
	switch {
	case del.Payload.Null():
		b.name("data")
		b.buf = append(b.buf, "null"...)
	case destinations.IsJSON(del.Payload.ContentType) && json.Valid(data): // of an event's own bytes that was checked; a transformation may make any
		b.name("data")
		b.buf = append(b.buf, data...)
	case len(data) > 0:
		b.name("data_base64")
		b.buf = append(base64.StdEncoding.AppendEncode(append(b.buf, '"'), data), '"')
	}
	return append(b.buf, '}'), b.err
}

// object appends the members of a JSON object. What is empty is left out.
type object struct {
	buf []byte
	err error // the first
}

func (o *object) name(name string) {
	if o.buf[len(o.buf)-1] != '{' {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(append(append(o.buf, '"'), name...), `":`...)
}

func (o *object) text(name, value string) {
	if value != "" {
		o.name(name)
		o.quoted(value)
	}
}

func (o *object) quoted(value string) {
	plain := func(c byte) bool {
		return c >= ' ' && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' // encoding/json escapes the last three
	}
	for i := range len(value) {
		if !plain(value[i]) {
			o.json(value)
			return
		}
	}
	o.buf = append(append(append(o.buf, '"'), value...), '"')
}

func (o *object) number(name string, n int64) {
	o.name(name)
	o.buf = strconv.AppendInt(o.buf, n, 10)
}

func (o *object) time(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	o.name(name)
	text, err := t.UTC().AppendText(append(o.buf, '"'))
	if err != nil {
		o.err = cmp.Or(o.err, err)
		return
	}
	o.buf = append(text, '"')
}

func (o *object) texts(name string, values map[string]string) {
	if len(values) > 0 {
		o.name(name)
		o.json(values)
	}
}

func (o *object) json(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		o.err = cmp.Or(o.err, err)
	}
	o.buf = append(o.buf, b...)
}
