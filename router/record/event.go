package record

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
	"eventserver/infra"
)

// Headers of a stored record. The ce_ ones are the CloudEvents Kafka binding,
// so that other programs can read the topics; the es_ ones are ours.
const (
	hSpecVersion   = "ce_specversion"
	HeaderID       = "ce_id"
	HeaderType     = "ce_type"
	hSource        = "ce_source"
	hTime          = "ce_time"
	hContentType   = "content-type"
	HeaderReceived = "es_received_at"
	hSequence      = "es_sequence"
	hMeta          = "es_meta_"   // + name: allow-listed context of the event
	hHeader        = "es_header_" // + name: a header of the payload
)

// EncodeEvent makes the record of an accepted event. Its payload is e.Data.
func EncodeEvent(e destinations.Event) *message.Message {
	return infra.Unacked(e.ID, e.Data, encodeMetadata(e))
}

func encodeMetadata(e destinations.Event) message.Metadata {
	md := make(message.Metadata, headersOfEvent(e))
	md[infra.MetaKey] = e.Key
	md[hSpecVersion] = "1.0"
	md[HeaderID] = e.ID
	received := e.ReceivedAt.UTC().Format(time.RFC3339Nano)
	md[HeaderReceived] = received
	set(md, HeaderType, e.Type)
	set(md, hSource, e.Source)
	set(md, hContentType, e.ContentType)
	switch {
	case e.Time.IsZero():
	case e.Time.Equal(e.ReceivedAt) && e.Time.Location() == time.UTC: // it has no time of its own
		md[hTime] = received
	default:
		md[hTime] = e.Time.Format(time.RFC3339Nano)
	}
	for k, v := range e.Metadata {
		md[hMeta+k] = v
	}
	return md
}

// headersOfEvent is how many headers encodeMetadata writes, and one more for the
// sequence of a delivery. A map of up to eight takes half of one for nine.
func headersOfEvent(e destinations.Event) int {
	n := 5 + len(e.Metadata)
	for _, there := range []bool{e.Type != "", e.Source != "", e.ContentType != "", !e.Time.IsZero()} {
		if there {
			n++
		}
	}
	return n
}

func set(md message.Metadata, key, value string) {
	if value != "" {
		md[key] = value
	}
}

// DecodeEvent reads what EncodeEvent wrote. A record that another program put
// on the topic needs ce_id alone.
func DecodeEvent(msg *message.Message) (destinations.Event, error) {
	e, err := decodeEvent(msg)
	e.Metadata = prefixed(msg.Metadata, hMeta)
	return e, err
}

// decodeEvent leaves out the event's metadata.
func decodeEvent(msg *message.Message) (destinations.Event, error) {
	md := msg.Metadata
	e := destinations.Event{
		ID: md[HeaderID], Type: md[HeaderType], Source: md[hSource], Key: md[infra.MetaKey],
		ContentType: md[hContentType], Data: msg.Payload,
	}
	if e.ID == "" {
		return e, fmt.Errorf("record has no %s header: it was not written by event-server", HeaderID)
	}
	if e.Key == "" {
		e.Key = e.ID
	}
	var err error
	if s := md[HeaderReceived]; s != "" {
		if e.ReceivedAt, err = time.Parse(time.RFC3339Nano, s); err != nil {
			return e, fmt.Errorf("header %s: is not a time in RFC 3339", HeaderReceived) // without what it is: other programs write here too
		}
	}
	e.Time = e.ReceivedAt
	if s := md[hTime]; s != "" && s != md[HeaderReceived] {
		if e.Time, err = time.Parse(time.RFC3339Nano, s); err != nil {
			return e, fmt.Errorf("header %s: is not a time in RFC 3339", hTime)
		}
	}
	return e, nil
}

func prefixed(md message.Metadata, prefix string) map[string]string {
	var out map[string]string
	for k, v := range md {
		if name, ok := strings.CutPrefix(k, prefix); ok {
			out = with(out, name, v)
		}
	}
	return out
}

// with puts a value into a map that may be nil.
func with(m map[string]string, name, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[name] = value
	return m
}

// EncodeDelivery makes the record of p for one destination. The sequence is
// the event's offset in its partition: it rises with every event of a key.
func EncodeDelivery(e destinations.Event, p destinations.Payload, sequence int64) *message.Message {
	source := e
	source.Data, source.ContentType = p.Body, p.ContentType
	msg := EncodeEvent(source)
	msg.Metadata[hSequence] = strconv.FormatInt(sequence, 10)
	for k, v := range p.Headers {
		msg.Metadata[hHeader+k] = v
	}
	return msg
}

// DecodeDelivery reads a record of a destination's topic.
func DecodeDelivery(destination string, msg *message.Message) (destinations.Delivery, error) {
	e, err := decodeEvent(msg)
	if err != nil {
		return destinations.Delivery{}, err
	}
	var headers map[string]string
	for k, v := range msg.Metadata { // once for both
		if name, ok := strings.CutPrefix(k, hMeta); ok {
			e.Metadata = with(e.Metadata, name, v)
		} else if name, ok := strings.CutPrefix(k, hHeader); ok {
			headers = with(headers, name, v)
		}
	}
	seq := int64(-1)
	if s := msg.Metadata[hSequence]; s != "" {
		if seq, err = strconv.ParseInt(s, 10, 64); err != nil {
			return destinations.Delivery{}, fmt.Errorf("header %s: is not a whole number", hSequence)
		}
	}
	return destinations.Delivery{
		ID: e.ID + ":" + destination, EventID: e.ID, EventType: e.Type, Key: e.Key, Destination: destination,
		Attempt: 1, Time: e.Time, ReceivedAt: e.ReceivedAt, Sequence: seq, Metadata: e.Metadata,
		Payload:  destinations.Payload{ContentType: e.ContentType, Headers: headers, Body: e.Data},
		Redrives: Redrives(msg), RedrivenAt: RedrivenAt(msg),
	}, nil
}

// EventID is the id of the event that a message of any topic belongs to; "":
// another program wrote it, and gave none.
func EventID(msg *message.Message) string { return msg.Metadata[HeaderID] }

// EventType is the type of the event that a message of any topic belongs to; "": it has
// none.
func EventType(msg *message.Message) string { return msg.Metadata[HeaderType] }

// Sequence is the offset in EventsTopic of the event that a record of a
// destination or of its poison queue was made of; -1: not known.
func Sequence(msg *message.Message) int64 {
	n, err := strconv.ParseInt(msg.Metadata[hSequence], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// OrderKey is the key that a message is ordered by. One without a key, written
// by another program, waits for no other: its id and its place are its key.
func OrderKey(msg *message.Message) string {
	if key := msg.Metadata.Get(infra.MetaKey); key != "" {
		return key
	}
	return "\x00" + msg.UUID + ":" + msg.Metadata.Get(infra.MetaPartition) + ":" + msg.Metadata.Get(infra.MetaOffset)
}

// HeaderValues are the values of the headers that a record carries for its event
// and its receiver.
func HeaderValues(md message.Metadata) []string {
	return parts(prefixed(md, hMeta), prefixed(md, hHeader))
}

// parts are the values of headers, and of a list its members too.
func parts(headers ...map[string]string) []string {
	var values []string
	for _, h := range headers {
		for _, v := range h {
			values = append(values, v)
			if strings.Contains(v, ",") {
				for part := range strings.SplitSeq(v, ",") {
					values = append(values, strings.TrimSpace(part))
				}
			}
		}
	}
	return values
}
