package record

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
	"eventserver/metrics"
)

// Headers of what was redriven, and of the marks that settle a poison queue's records.
const (
	hRedrives   = "es_redrives"    // how often it was redriven
	hRedriveOf  = "es_redrive_of"  // position of the poison record that it was
	hRedriveRun = "es_redrive_run" // the run that did it
	hRedrivenAt = "es_redriven_at"

	hMark      = "es_mark"
	hMarkOf    = "es_mark_of"
	hMarkBy    = "es_mark_by"
	hMarkAt    = "es_mark_at"
	hMarkRun   = "es_mark_run"
	hMarkEvent = "es_mark_event"
)

// Position is where a record is in its topic, "partition:offset" in text.
type Position struct {
	Partition int32
	Offset    int64
}

// String implements fmt.Stringer.
func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Partition, p.Offset) }

// ParsePosition reads what String wrote.
func ParsePosition(s string) (Position, error) {
	partition, offset, _ := strings.Cut(s, ":")
	p, perr := strconv.ParseInt(partition, 10, 32)
	o, oerr := strconv.ParseInt(offset, 10, 64)
	if perr != nil || oerr != nil || p < 0 || o < 0 {
		return Position{}, fmt.Errorf("%.40q is no position; write partition:offset, such as 3:17", s)
	}
	return Position{int32(p), o}, nil
}

// PositionOf is where a received message came from.
func PositionOf(msg *message.Message) Position {
	return Position{infra.Partition(msg), infra.Offset(msg)}
}

// What a mark says of a poison record.
const (
	MarkRedriven  = metrics.MarkRedriven  // sent on again
	MarkDiscarded = metrics.MarkDiscarded // an operator wants it no more
	MarkSkipped   = metrics.MarkSkipped   // transformed again: the destination does not want it now
)

// Mark settles a record of a poison queue. It stands in the same topic, so that
// the queue is a log that explains itself.
type Mark struct {
	Kind    string // MarkRedriven, MarkDiscarded or MarkSkipped
	Of      Position
	By      string // who asked for it
	Run     string // the run that wrote it
	EventID string // of the record; "" where that is not known
	At      time.Time
}

// EncodeMark makes the record of a mark. key is that of the record it settles,
// which puts it into the same partition.
func EncodeMark(m Mark, key string) *message.Message {
	msg := message.NewMessage(m.Run+":"+m.Of.String(), []byte{})
	if key != "" {
		msg.Metadata[infra.MetaKey] = key
	}
	msg.Metadata[hMark] = m.Kind
	msg.Metadata[hMarkOf] = m.Of.String()
	msg.Metadata[hMarkAt] = m.At.UTC().Format(time.RFC3339Nano)
	set(msg.Metadata, hMarkBy, m.By)
	set(msg.Metadata, hMarkRun, m.Run)
	set(msg.Metadata, hMarkEvent, m.EventID)
	return msg
}

// DecodeMark reads a mark; false when msg is none. One whose position cannot be
// read settles nothing: its Of has Partition -1. What has a stage was given up and is
// no mark, whatever headers a foreign record brought into it.
func DecodeMark(msg *message.Message) (Mark, bool) {
	md := msg.Metadata
	kind, is := md[hMark]
	if _, item := md[hPoisonStage]; !is || item {
		return Mark{}, false
	}
	m := Mark{Kind: kind, By: md[hMarkBy], Run: md[hMarkRun], EventID: md[hMarkEvent]}
	var err error
	if m.Of, err = ParsePosition(md[hMarkOf]); err != nil {
		m.Of = Position{-1, -1}
	}
	m.At, _ = time.Parse(time.RFC3339Nano, md[hMarkAt])
	return m, true
}

// Redrive says by which run a poison record is sent on again.
type Redrive struct {
	Of  Position // of the poison record
	Run string
	At  time.Time
}

// Redriven makes the record that sends a given-up delivery on again: to
// DestinationTopic, with everything that the delivery had.
func Redriven(poison *message.Message, r Redrive) *message.Message {
	out := message.NewMessage(poison.UUID, poison.Payload)
	out.Metadata = make(message.Metadata, len(poison.Metadata)+4)
	for k, v := range poison.Metadata {
		if !strings.HasPrefix(k, hPoison) {
			out.Metadata[k] = v
		}
	}
	r.Sign(out, poison)
	return out
}

// Sign puts the headers of a redrive into out, which was made of a poison record.
func (r Redrive) Sign(out, poison *message.Message) {
	out.Metadata[hRedrives] = strconv.Itoa(Redrives(poison) + 1)
	out.Metadata[hRedriveOf] = r.Of.String()
	out.Metadata[hRedriveRun] = r.Run
	out.Metadata[hRedrivenAt] = r.At.UTC().Format(time.RFC3339Nano)
}

// DecodeRedrive tells which poison record a destination's record was, and the
// run that redrove it; false when it was not redriven. A redrive writes all four
// headers, so a record that has some of them has none.
func DecodeRedrive(msg *message.Message) (Redrive, bool) {
	md := msg.Metadata
	if md[hRedrives] == "" {
		return Redrive{}, false // without an error, which costs more than all the rest
	}
	n, nerr := strconv.Atoi(md[hRedrives])
	of, err := ParsePosition(md[hRedriveOf])
	at, aerr := time.Parse(time.RFC3339Nano, md[hRedrivenAt])
	if nerr != nil || n < 1 || err != nil || aerr != nil || md[hRedriveRun] == "" {
		return Redrive{}, false
	}
	return Redrive{Of: of, Run: md[hRedriveRun], At: at}, true
}

// Redrives is how often a delivery was redriven.
func Redrives(msg *message.Message) int {
	if _, is := DecodeRedrive(msg); !is {
		return 0
	}
	n, _ := strconv.Atoi(msg.Metadata[hRedrives])
	return n
}

// RedrivenAt is zero for what was not redriven.
func RedrivenAt(msg *message.Message) time.Time {
	r, _ := DecodeRedrive(msg)
	return r.At
}
