package kafka

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/IBM/sarama"
	wmkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// marshaler writes and reads what watermill-kafka's DefaultMarshaler does, with
// the ordering key as the record's key. It is not built on that one because it
// would copy every message twice. What a broker adds to a received message
// (coordinates) never becomes a header, so a message can be published on as it
// is.
type marshaler struct{}

// Marshal makes the record. A message without a key is keyed by its UUID: an
// empty key would send every keyless message to one partition.
func (marshaler) Marshal(topic string, msg *message.Message) (*sarama.ProducerMessage, error) {
	size := len(wmkafka.UUIDHeaderKey) + len(msg.UUID)
	for k, v := range msg.Metadata {
		size += len(k) + len(v)
	}
	all := make([]byte, 0, size) // of all headers, in one piece
	piece := func(s string) []byte {
		from := len(all)
		all = append(all, s...)
		return all[from:len(all):len(all)]
	}
	headers := make([]sarama.RecordHeader, 1, len(msg.Metadata)+1)
	headers[0] = sarama.RecordHeader{Key: piece(wmkafka.UUIDHeaderKey), Value: piece(msg.UUID)}
	for k, v := range msg.Metadata {
		switch k {
		case infra.MetaKey, infra.MetaTopic, infra.MetaPartition, infra.MetaOffset:
		case wmkafka.UUIDHeaderKey:
			return nil, fmt.Errorf("metadata %s is reserved for the message's UUID", k)
		default:
			headers = append(headers, sarama.RecordHeader{Key: piece(k), Value: piece(v)})
		}
	}
	key := msg.Metadata.Get(infra.MetaKey)
	if key == "" {
		key = msg.UUID
	}
	return &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(key), Value: sarama.ByteEncoder(msg.Payload), Headers: headers}, nil
}

// unmarshal reads any record, whoever wrote it: what the bytes mean is decided
// by the handler, which can poison.
func (marshaler) unmarshal(logical string, rec *sarama.ConsumerMessage) *message.Message {
	const coordinates = 4
	var all strings.Builder // the key and all headers, in one piece
	size := len(rec.Key)
	for _, h := range rec.Headers {
		if h != nil {
			size += len(h.Key) + len(h.Value)
		}
	}
	all.Grow(size)
	piece := func(b []byte) string {
		from := all.Len()
		all.Write(b)
		return all.String()[from:]
	}
	uuid := ""
	md := make(message.Metadata, len(rec.Headers)+coordinates)
	for _, h := range rec.Headers {
		if h == nil {
			continue
		}
		if string(h.Key) == wmkafka.UUIDHeaderKey {
			uuid = piece(h.Value)
		} else {
			md[piece(h.Key)] = piece(h.Value)
		}
	}
	md[infra.MetaKey] = piece(rec.Key)
	md[infra.MetaTopic] = logical
	md[infra.MetaPartition] = strconv.FormatInt(int64(rec.Partition), 10)
	md[infra.MetaOffset] = strconv.FormatInt(rec.Offset, 10)
	msg := message.NewMessage(uuid, rec.Value)
	msg.Metadata = md
	return msg
}
