package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/app/admin"
	"eventserver/app/terminal"
	"eventserver/destinations/log"
	"eventserver/infra"
	"eventserver/router/record"
)

// tailLine is one record as Tail shows it; its JSON is a line of --json.
type tailLine admin.TailRecord

const (
	tailStamp = "2006-01-02T15:04:05.000Z07:00" // in a line for people
	jsonStamp = time.RFC3339Nano
)

// read takes what it can from a record: a topic is shown whatever is in it.
func (c TailConfig) read(m *message.Message, at time.Time) *tailLine {
	e, err := record.DecodeEvent(m)
	l := &tailLine{Topic: m.Metadata.Get(infra.MetaTopic), Partition: infra.Partition(m), Offset: infra.Offset(m),
		ID: e.ID, Type: e.Type, Source: e.Source, Key: m.Metadata.Get(infra.MetaKey), ContentType: e.ContentType, Metadata: e.Metadata,
		Data: e.Data, Time: stampOf(e.Time)}
	if c.Bare {
		l.Data, l.Metadata = nil, nil
	}
	if e.ReceivedAt.IsZero() {
		e.ReceivedAt = at
	}
	l.ReceivedAt = stampOf(e.ReceivedAt)
	if mark, is := record.DecodeMark(m); c.Poison && is {
		l.TailMark = &admin.TailMark{Mark: mark.Kind, Of: mark.Of.String(), By: mark.By, Run: mark.Run, Event: mark.EventID}
		return l
	}
	if c.Destination != "" && err == nil {
		d, derr := record.DecodeDelivery(c.Destination, m)
		if err = derr; err == nil {
			if l.Redrives = d.Redrives; !c.Bare {
				l.Headers = d.Payload.Headers
			}
			if d.Sequence >= 0 {
				l.Sequence = &d.Sequence
			}
		}
	}
	if c.Poison {
		g := record.DecodePoison(c.Destination, m)
		l.TailPoison = &admin.TailPoison{Stage: g.Stage, Reason: g.Reason, Detail: g.Detail, Attempts: g.Attempts, First: stampOf(g.First), Last: stampOf(g.Last), LeftOut: g.LeftOut}
	}
	if err != nil {
		l.Error = err.Error()
	}
	return l
}

func stampOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(jsonStamp)
}

// text is a line such as
//
//	2026-01-02T03:04:05.000Z events/3/42 id=e1 type=order.placed key=ada {"n":1}
func (l *tailLine) text(width int, bare bool) string {
	var b strings.Builder
	received := l.ReceivedAt
	if t, err := time.Parse(jsonStamp, received); err == nil {
		received = t.Format(tailStamp)
	}
	if m := l.TailMark; m != nil {
		fmt.Fprintf(&b, "%s %s/%d/%d key=%s mark=%s of=%s event=%s by=%s run=%s", received, terminal.Printable(l.Topic), l.Partition, l.Offset, log.Word(l.Key),
			log.Word(m.Mark), log.Word(m.Of), log.Word(m.Event), log.Word(m.By), log.Word(m.Run))
		return b.String()
	}
	fmt.Fprintf(&b, "%s %s/%d/%d id=%s type=%s key=%s", received, terminal.Printable(l.Topic), l.Partition, l.Offset, log.Word(l.ID), log.Word(l.Type), log.Word(l.Key))
	if p := l.TailPoison; p != nil {
		fmt.Fprintf(&b, " stage=%s reason=%s attempts=%d detail=%s", log.Word(p.Stage), log.Word(p.Reason), p.Attempts, log.Word(p.Detail))
		if len(p.LeftOut) > 0 {
			b.WriteString(" left_out=" + strings.Join(p.LeftOut, ","))
		}
	}
	if l.Error != "" {
		b.WriteString(" error=" + log.Word(l.Error))
	}
	if !bare {
		b.WriteString(" " + terminal.Cut(width, payload(l.Data), len(l.Data)))
	}
	return b.String()
}

// json is the line of --json, without the end of it.
func (l *tailLine) json() string {
	if len(l.Data) > 0 && !isJSON(l.Data) {
		l.DataBase64, l.Data = l.Data, nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // the payload should look like what was sent
	if err := enc.Encode(l); err != nil {
		return fmt.Sprintf("{\"error\":%q}", err) // the payload was looked at: it cannot be
	}
	return terminal.Printable(strings.TrimSuffix(b.String(), "\n"))
}

func isJSON(b []byte) bool { return utf8.Valid(b) && json.Valid(b) }

// payload is a payload on one line: JSON without the spaces around its values,
// anything else in quotes.
func payload(data []byte) string {
	var b bytes.Buffer
	if isJSON(data) && json.Compact(&b, data) == nil {
		return terminal.Printable(b.String())
	}
	return strconv.Quote(string(data))
}
