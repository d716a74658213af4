package local

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"eventserver/infra"
)

// The keys. Integers are big endian, so that the order of keys is the order of
// what they name.
//
//	'e' topic(4) partition(4)           low, end: kept when records are trimmed
//	'g' topic(4) group 0 partition(4)   progress: number of its batch, next, text
//	'm'                                 number of the last batch, sum of all partitions' ends
//	'n'                                 id of the next topic
//	'r' topic(4) partition(4) offset(8) a record
//	't' name                            a topic: id, partitions, keep, created
const (
	spaceEnd      = 'e'
	spaceProgress = 'g'
	spaceSequence = 'm'
	spaceNextID   = 'n'
	spaceRecord   = 'r'
	spaceTopic    = 't'
)

var (
	sequenceKey = []byte{spaceSequence}
	nextIDKey   = []byte{spaceNextID}
)

const recordKeyLen = 1 + 4 + 4 + 8

func appendPartKey(b []byte, space byte, topic uint32, partition int32) []byte {
	b = append(b, space)
	b = binary.BigEndian.AppendUint32(b, topic)
	return binary.BigEndian.AppendUint32(b, uint32(partition))
}

// appendRecordKey appends the key of a record. Keys of a partition are ordered by offset.
func appendRecordKey(b []byte, topic uint32, partition int32, offset int64) []byte {
	return binary.BigEndian.AppendUint64(appendPartKey(b, spaceRecord, topic, partition), uint64(offset))
}

func offsetOf(recordKey []byte) (int64, error) {
	if len(recordKey) != recordKeyLen {
		return 0, fmt.Errorf("a record's key has %d bytes instead of %d", len(recordKey), recordKeyLen)
	}
	return int64(binary.BigEndian.Uint64(recordKey[recordKeyLen-8:])), nil
}

// topicSpan is every key of a topic in one space.
func topicSpan(space byte, topic uint32) (from, to []byte) {
	from = binary.BigEndian.AppendUint32([]byte{space}, topic)
	if topic == 1<<32-1 {
		return from, []byte{space + 1}
	}
	return from, binary.BigEndian.AppendUint32([]byte{space}, topic+1)
}

// partSpan is every record of a partition.
func partSpan(topic uint32, partition int32) (from, to []byte) {
	return appendRecordKey(nil, topic, partition, 0), appendPartKey(nil, spaceRecord, topic, partition+1)
}

func topicKey(name string) []byte { return append([]byte{spaceTopic}, name...) }

func progressKey(topic uint32, group string, partition int32) []byte {
	b := make([]byte, 0, 1+4+len(group)+1+4)
	b = binary.BigEndian.AppendUint32(append(b, spaceProgress), topic)
	b = append(append(b, group...), 0)
	return binary.BigEndian.AppendUint32(b, uint32(partition))
}

// groupSpan is every key of a group in a topic.
func groupSpan(topic uint32, group string) (from, to []byte) {
	from = progressKey(topic, group, 0)
	from = from[:len(from)-4]
	to = bytes.Clone(from)
	to[len(to)-1] = 1
	return from, to
}

// splitProgressKey is the group and the partition of a progress key.
func splitProgressKey(key []byte) (group string, partition int32, err error) {
	if len(key) < 1+4+1+4 || key[len(key)-5] != 0 {
		return "", 0, errors.New("a progress key is malformed")
	}
	return string(key[5 : len(key)-5]), int32(binary.BigEndian.Uint32(key[len(key)-4:])), nil
}

// checkGroup refuses a group name that does not fit into a key.
func checkGroup(name string) error {
	if name == "" || strings.IndexByte(name, 0) >= 0 {
		return fmt.Errorf("local: %q is no name for a consumer group: it must not be empty nor have a zero byte", name)
	}
	return nil
}

// A record's value: version, time, key, headers, the value itself.
//
//	1 | unix nanoseconds (8) | len key, key | headers | (len, key, len, value)... | value
const (
	recordVersion = 1
	recordHead    = 1 + 8
)

// recordSize is the size that infra.Limits.RecordBytes bounds.
func recordSize(r *infra.Record) int {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// encodedSize is the exact length of what encodeRecord writes.
func encodedSize(r *infra.Record) int {
	n := recordHead + uvarintLen(len(r.Key)) + len(r.Key) + uvarintLen(len(r.Headers)) + len(r.Value)
	for i := range r.Headers {
		h := &r.Headers[i]
		n += uvarintLen(len(h.Key)) + len(h.Key) + uvarintLen(len(h.Value)) + len(h.Value)
	}
	return n
}

func uvarintLen(n int) int {
	l := 1
	for ; n >= 0x80; n >>= 7 {
		l++
	}
	return l
}

// encodeRecord fills b, which has encodedSize bytes.
func encodeRecord(b []byte, r *infra.Record, at int64) {
	b[0] = recordVersion
	binary.BigEndian.PutUint64(b[1:], uint64(at))
	i := recordHead
	i = putBytes(b, i, r.Key)
	i += binary.PutUvarint(b[i:], uint64(len(r.Headers)))
	for j := range r.Headers {
		i = putBytes(b, i, r.Headers[j].Key)
		i = putBytes(b, i, r.Headers[j].Value)
	}
	copy(b[i:], r.Value)
}

func putBytes(b []byte, i int, v []byte) int {
	i += binary.PutUvarint(b[i:], uint64(len(v)))
	return i + copy(b[i:], v)
}

var errPosition = errors.New("progress is malformed")

var errRecord = errors.New("a record is malformed")

// timeOf is the time in an encoded record.
func timeOf(b []byte) (int64, error) {
	if len(b) < recordHead {
		return 0, errRecord
	}
	if b[0] != recordVersion && b[0] != holeVersion {
		return 0, fmt.Errorf("a record has the version %d: a newer release wrote it", b[0])
	}
	return int64(binary.BigEndian.Uint64(b[1:])), nil
}

// inlineHeaders is the number of headers of a stored record without a second allocation.
const inlineHeaders = 8

// stored is a record and its headers in one allocation.
type stored struct {
	infra.Record
	inline [inlineHeaders]infra.Header
}

// decodeRecord reads b. The record shares its bytes.
func decodeRecord(b []byte) (*stored, error) {
	at, err := timeOf(b)
	if err != nil {
		return nil, err
	}
	if b[0] != recordVersion {
		return nil, errRecord
	}
	r := &stored{}
	r.Time = time.Unix(0, at).UTC()
	b = b[recordHead:]
	var ok bool
	if r.Key, b, ok = takeBytes(b); !ok {
		return nil, errRecord
	}
	n, l := binary.Uvarint(b)
	if l <= 0 || n > uint64(len(b)) { // a header has two bytes at least
		return nil, errRecord
	}
	b = b[l:]
	r.Headers = r.inline[:0:inlineHeaders]
	if n > inlineHeaders {
		r.Headers = make([]infra.Header, 0, n)
	}
	for range n {
		var h infra.Header
		if h.Key, b, ok = takeBytes(b); !ok {
			return nil, errRecord
		}
		if h.Value, b, ok = takeBytes(b); !ok {
			return nil, errRecord
		}
		r.Headers = append(r.Headers, h)
	}
	r.Headers = r.Headers[:len(r.Headers):len(r.Headers)] // an append by a reader copies
	r.Value = b
	return r, nil
}

func takeBytes(b []byte) (v, rest []byte, ok bool) {
	n, l := binary.Uvarint(b)
	if l <= 0 || n > uint64(len(b)-l) {
		return nil, nil, false
	}
	end := l + int(n)
	return b[l:end:end], b[end:], true
}

// encodeSequence is the value of sequenceKey: the number of a batch, and the sum of the
// ends of all partitions. The sum shows whether the last records of any are lost.
func encodeSequence(seq, records uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(make([]byte, 0, 2*binary.MaxVarintLen64), seq), records)
}

func decodeSequence(b []byte) (seq, records uint64, ok bool) {
	seq, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, 0, false
	}
	records, n = binary.Uvarint(b[n:])
	return seq, records, n > 0
}

// encodePosition begins with the number of the batch. A repair takes the newest of several
// positions, and Pebble does not keep their order.
func encodePosition(seq uint64, p infra.Position) []byte {
	b := make([]byte, 0, 2*binary.MaxVarintLen64+len(p.Text))
	b = binary.AppendUvarint(b, seq)
	b = binary.AppendUvarint(b, uint64(p.Next))
	return append(b, p.Text...)
}

func decodePosition(b []byte) (infra.Position, error) {
	_, n := binary.Uvarint(b)
	if n <= 0 {
		return infra.Position{}, errPosition
	}
	b = b[n:]
	next, n := binary.Uvarint(b)
	if n <= 0 {
		return infra.Position{}, errPosition
	}
	return infra.Position{Next: int64(next), Text: string(b[n:])}, nil
}

// topicMeta is the value of a topic's key.
type topicMeta struct {
	id         uint32
	partitions int32
	keep       bool
	created    int64 // unix nanoseconds
}

const topicVersion = 1

func (m topicMeta) encode() []byte {
	b := binary.BigEndian.AppendUint32([]byte{topicVersion}, m.id)
	b = binary.BigEndian.AppendUint32(b, uint32(m.partitions))
	keep := byte(0)
	if m.keep {
		keep = 1
	}
	return binary.BigEndian.AppendUint64(append(b, keep), uint64(m.created))
}

func decodeTopic(b []byte) (m topicMeta, err error) {
	if len(b) != 1+4+4+1+8 {
		return m, errors.New("a topic is malformed")
	}
	if b[0] != topicVersion {
		return m, fmt.Errorf("a topic has the version %d: a newer release wrote it", b[0])
	}
	m.id = binary.BigEndian.Uint32(b[1:])
	m.partitions = int32(binary.BigEndian.Uint32(b[5:]))
	m.keep = b[9] == 1
	m.created = int64(binary.BigEndian.Uint64(b[10:]))
	if m.partitions <= 0 {
		return m, errors.New("a topic is malformed: it has no partition")
	}
	return m, nil
}

func encodeEnds(low, end int64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(low)), uint64(end))
}

func decodeEnds(b []byte) (low, end int64, err error) {
	l, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, 0, errors.New("a partition's end is malformed")
	}
	e, n := binary.Uvarint(b[n:])
	if n <= 0 || l > e {
		return 0, 0, errors.New("a partition's end is malformed")
	}
	return int64(l), int64(e), nil
}
