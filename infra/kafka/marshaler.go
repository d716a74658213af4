package kafka

import (
	"fmt"
	"strconv"

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
	headers := make([]sarama.RecordHeader, 1, len(msg.Metadata)+1)
	headers[0] = sarama.RecordHeader{Key: []byte(wmkafka.UUIDHeaderKey), Value: []byte(msg.UUID)}
	for k, v := range msg.Metadata {
		switch k {
		case infra.MetaKey, infra.MetaTopic, infra.MetaPartition, infra.MetaOffset:
		case wmkafka.UUIDHeaderKey:
			return nil, fmt.Errorf("metadata %s is reserved for the message's UUID", k)
		default:
			headers = append(headers, sarama.RecordHeader{Key: []byte(k), Value: []byte(v)})
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
	uuid := ""
	md := make(message.Metadata, len(rec.Headers)+coordinates)
	for _, h := range rec.Headers {
		if h == nil {
			continue
		}
		if string(h.Key) == wmkafka.UUIDHeaderKey {
			uuid = string(h.Value)
		} else {
			md[string(h.Key)] = string(h.Value)
		}
	}
	md[infra.MetaKey] = string(rec.Key)
	md[infra.MetaTopic] = logical
	md[infra.MetaPartition] = strconv.FormatInt(int64(rec.Partition), 10)
	md[infra.MetaOffset] = strconv.FormatInt(rec.Offset, 10)
	msg := message.NewMessage(uuid, rec.Value)
	msg.Metadata = md
	return msg
}
