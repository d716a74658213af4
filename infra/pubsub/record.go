package pubsub

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// uuidHeader is where watermill-kafka's DefaultMarshaler keeps a message's UUID.
const uuidHeader = "_watermill_message_uuid"

// write makes a record of msg, which its owner may continue to use. The key is the
// ordering key, or the UUID: an empty key would send every keyless message to one
// partition. What a broker adds to a received message (coordinates) never becomes
// a header, so a message can be published on as it is.
func write(rec *infra.Record, msg *message.Message) error {
	key := msg.Metadata.Get(infra.MetaKey)
	if key == "" {
		key = msg.UUID
	}
	all := make([]byte, 0, sizeOfMessage(msg)) // the key, all headers and the value, in one piece
	piece := func(s string) []byte {
		from := len(all)
		all = append(all, s...)
		return all[from:len(all):len(all)]
	}
	rec.Key = piece(key)
	rec.Headers = make([]infra.Header, 1, len(msg.Metadata)+1)
	rec.Headers[0] = infra.Header{Key: piece(uuidHeader), Value: piece(msg.UUID)}
	for k, v := range msg.Metadata {
		switch k {
		case infra.MetaKey, infra.MetaTopic, infra.MetaPartition, infra.MetaOffset:
		case uuidHeader:
			return fmt.Errorf("metadata %s is reserved for the message's UUID", k)
		default:
			rec.Headers = append(rec.Headers, infra.Header{Key: piece(k), Value: piece(v)})
		}
	}
	from := len(all)
	all = append(all, msg.Payload...)
	rec.Value = all[from:]
	return nil
}

// sizeOfMessage is what a message takes as a record.
func sizeOfMessage(m *message.Message) int {
	size := 2*len(m.UUID) + len(uuidHeader) + len(m.Payload) // the key may be the UUID
	for k, v := range m.Metadata {
		size += len(k) + len(v)
	}
	return size
}

// sizeOf is what a record takes.
func sizeOf(rec *infra.Record) int {
	size := len(rec.Key) + len(rec.Value)
	for _, h := range rec.Headers {
		size += len(h.Key) + len(h.Value)
	}
	return size
}

// read makes a message of any record, whoever wrote it: what the bytes mean is
// decided by the handler, which can poison. The message shares nothing with the
// record.
func read(rec *infra.Record) *message.Message {
	uuid, md := metadataOf(rec)
	msg := message.NewMessage(uuid, bytes.Clone(rec.Value))
	msg.Metadata = md
	return msg
}

// readUnacked is read for a message of a run, which nobody acks. Its payload is the
// record's value.
func readUnacked(rec *infra.Record) *message.Message {
	uuid, md := metadataOf(rec)
	return infra.Unacked(uuid, rec.Value, md)
}

// metadataOf are a record's headers and coordinates.
func metadataOf(rec *infra.Record) (uuid string, md message.Metadata) {
	const coordinates, digits = 4, 20
	var all strings.Builder // the key, all headers and the coordinates, in one piece
	size := len(rec.Key) + 2*digits
	for _, h := range rec.Headers {
		size += len(h.Key) + len(h.Value)
	}
	all.Grow(size)
	piece := func(b []byte) string {
		from := all.Len()
		all.Write(b)
		return all.String()[from:]
	}
	var buf [digits]byte
	number := func(n int64) string { return piece(strconv.AppendInt(buf[:0], n, 10)) }
	n := len(rec.Headers) + coordinates
	if len(rec.Headers) > 0 && string(rec.Headers[0].Key) == uuidHeader { // as write has it
		n-- // a map for nine takes twice that of one for eight
	}
	md = make(message.Metadata, n)
	for _, h := range rec.Headers {
		if string(h.Key) == uuidHeader {
			uuid = piece(h.Value)
		} else {
			md[piece(h.Key)] = piece(h.Value)
		}
	}
	md[infra.MetaKey] = piece(rec.Key)
	md[infra.MetaTopic] = rec.Topic
	md[infra.MetaPartition] = number(int64(rec.Partition))
	md[infra.MetaOffset] = number(rec.Offset)
	return uuid, md
}

// uuidOf is the UUID of the message that a record holds.
func uuidOf(rec *infra.Record) string {
	for _, h := range rec.Headers {
		if string(h.Key) == uuidHeader {
			return string(h.Value)
		}
	}
	return ""
}
