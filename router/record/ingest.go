package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/destinations"
)

// hBatch is the metadata of an ingest message with several events: where in
// the payload each lies, and what was read of it. It stays in this process and
// is binary, because to write and read it in JSON cost a twelfth of what the
// server did for an event.
const hBatch = "es_batch"

// EncodeIngest makes the one message that a request becomes, so that the HTTP
// subscriber can hand over a batch and be acked for all of it. One event is
// the record itself.
func EncodeIngest(events []destinations.Event) *message.Message {
	if len(events) == 1 {
		msg := message.NewMessage(events[0].ID, events[0].Data) // it is acked
		msg.Metadata = encodeMetadata(events[0])
		return msg
	}
	var size, fields int
	for _, e := range events {
		size += len(e.Data)
		fields += len(e.ID) + len(e.Type) + len(e.Source) + len(e.Key) + len(e.ContentType)
	}
	payload := make([]byte, 0, size)
	const rest = 48 // bytes that describe an event beside its fields: lengths and times
	index := make([]byte, 0, fields+rest*len(events))
	var last map[string]string
	for i, e := range events {
		index = appendItem(index, e, i > 0 && maps.Equal(e.Metadata, last))
		payload, last = append(payload, e.Data...), e.Metadata
	}
	msg := message.NewMessage(events[0].ID, payload)
	msg.Metadata[hBatch] = string(index)
	return msg
}

// appendItem describes one event. same: its metadata is that of the one before, as
// with all events of a request, and would be there five hundred times.
func appendItem(index []byte, e destinations.Event, same bool) []byte {
	for _, s := range []string{e.ID, e.Type, e.Source, e.Key, e.ContentType} {
		index = appendString(index, s)
	}
	index = appendTime(appendTime(index, e.Time), e.ReceivedAt)
	if same {
		index = binary.AppendUvarint(index, sameMetadata)
	} else {
		index = binary.AppendUvarint(index, uint64(len(e.Metadata)))
		for k, v := range e.Metadata {
			index = appendString(appendString(index, k), v)
		}
	}
	return binary.AppendUvarint(index, uint64(len(e.Data)))
}

// sameMetadata stands where the number of the metadata does otherwise.
const sameMetadata = math.MaxUint32

func appendString(index []byte, s string) []byte {
	return append(binary.AppendUvarint(index, uint64(len(s))), s...)
}

// appendTime writes seconds and nanoseconds, because the years that an event
// may have do not fit in nanoseconds alone.
func appendTime(index []byte, t time.Time) []byte {
	return binary.AppendUvarint(binary.AppendVarint(index, t.Unix()), uint64(t.Nanosecond()))
}

// batchIndex reads what appendItem wrote. After a fault it reads zeroes.
type batchIndex struct {
	rest  string
	fault bool
	last  map[string]string // metadata of the event before
}

func (b *batchIndex) uvarint() uint64 {
	n, size := binary.Uvarint([]byte(b.rest[:min(len(b.rest), binary.MaxVarintLen64)]))
	return b.read(n, size)
}

func (b *batchIndex) varint() int64 {
	n, size := binary.Varint([]byte(b.rest[:min(len(b.rest), binary.MaxVarintLen64)]))
	return int64(b.read(uint64(n), size))
}

func (b *batchIndex) read(n uint64, size int) uint64 {
	if size <= 0 {
		b.fault, b.rest = true, ""
		return 0
	}
	b.rest = b.rest[size:]
	return n
}

func (b *batchIndex) text() string {
	n := b.uvarint()
	if n > uint64(len(b.rest)) {
		b.fault, b.rest = true, ""
		return ""
	}
	s := b.rest[:n]
	b.rest = b.rest[n:]
	return s
}

func (b *batchIndex) time() time.Time {
	sec, ns := b.varint(), b.uvarint()
	return time.Unix(sec, int64(ns)).UTC()
}

func (b *batchIndex) event() (e destinations.Event, size uint64) {
	for _, s := range []*string{&e.ID, &e.Type, &e.Source, &e.Key, &e.ContentType} {
		*s = b.text()
	}
	e.Time, e.ReceivedAt = b.time(), b.time()
	switch n := b.uvarint(); {
	case n == sameMetadata:
		e.Metadata = b.last
	case n > 0 && !b.fault:
		e.Metadata = map[string]string{}
		for ; n > 0 && !b.fault; n-- {
			k := b.text()
			e.Metadata[k] = b.text()
		}
	}
	b.last = e.Metadata
	return e, b.uvarint()
}

var errBatchIndex = errors.New("decode batch: its index does not fit its payload")

// DecodeIngest takes an ingest message apart into the records to store.
func DecodeIngest(msg *message.Message) ([]*message.Message, error) {
	index := batchIndex{rest: msg.Metadata.Get(hBatch)}
	if index.rest == "" {
		return []*message.Message{msg}, nil
	}
	var out []*message.Message
	rest := msg.Payload
	for index.rest != "" {
		e, size := index.event()
		if index.fault || size > uint64(len(rest)) {
			return nil, errBatchIndex
		}
		e.Data = rest[:size:size]
		rest = rest[size:]
		out = append(out, EncodeEvent(e))
	}
	return out, nil
}

// EncodeEvents makes the records of events that are stored without the ingest
// handler. Every event needs an id and a key.
func EncodeEvents(events []destinations.Event) ([]*message.Message, error) {
	out := make([]*message.Message, len(events))
	for i, e := range events {
		if e.ID == "" || e.Key == "" {
			return nil, fmt.Errorf("event %d has no id or no key", i)
		}
		out[i] = EncodeEvent(e)
	}
	return out, nil
}
