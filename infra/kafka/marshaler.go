package kafka

import (
	"strconv"

	"github.com/IBM/sarama"
	wmkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

// marshaler is watermill-kafka's marshaler with the ordering key as the
// record's key. What a broker adds to a received message (coordinates) never
// becomes a header, so a message can be published on as it is.
type marshaler struct{ base wmkafka.DefaultMarshaler }

// Marshal makes the record. A message without a key is keyed by its UUID: an
// empty key would send every keyless message to one partition.
func (m marshaler) Marshal(topic string, msg *message.Message) (*sarama.ProducerMessage, error) {
	out := message.NewMessage(msg.UUID, msg.Payload)
	for k, v := range msg.Metadata {
		switch k {
		case infra.MetaKey, infra.MetaTopic, infra.MetaPartition, infra.MetaOffset:
		default:
			out.Metadata[k] = v
		}
	}
	rec, err := m.base.Marshal(topic, out)
	if err != nil {
		return nil, err
	}
	key := msg.Metadata.Get(infra.MetaKey)
	if key == "" {
		key = msg.UUID
	}
	rec.Key = sarama.StringEncoder(key)
	return rec, nil
}

// unmarshal never fails: watermill-kafka's unmarshaler reads any record, and
// what the bytes mean is decided by the handler, which can poison.
func (m marshaler) unmarshal(logical string, rec *sarama.ConsumerMessage) (*message.Message, error) {
	msg, err := m.base.Unmarshal(rec)
	if err != nil {
		return nil, err
	}
	msg.Metadata[infra.MetaKey] = string(rec.Key)
	msg.Metadata[infra.MetaTopic] = logical
	msg.Metadata[infra.MetaPartition] = strconv.FormatInt(int64(rec.Partition), 10)
	msg.Metadata[infra.MetaOffset] = strconv.FormatInt(rec.Offset, 10)
	return msg, nil
}
