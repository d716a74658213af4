package kafka

import (
	"testing"

	"github.com/IBM/sarama"
	wmkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

// consumed is a record as a consumer gets it.
func consumed(t *testing.T, p *sarama.ProducerMessage) *sarama.ConsumerMessage {
	t.Helper()
	value, err := p.Value.Encode()
	require.NoError(t, err)
	rec := &sarama.ConsumerMessage{Topic: p.Topic, Partition: 3, Offset: 42, Value: value}
	if p.Key != nil {
		rec.Key, err = p.Key.Encode()
		require.NoError(t, err)
	}
	for i := range p.Headers {
		rec.Headers = append(rec.Headers, &p.Headers[i])
	}
	return rec
}

// Programs on watermill-kafka read what we write, and we read what they write.
func TestMarshalerIsThatOfWatermill(t *testing.T) {
	msg := message.NewMessage("id-1", []byte("body"))
	msg.Metadata = message.Metadata{"ce_id": "e1", infra.MetaKey: "ada", infra.MetaOffset: "7", infra.MetaPartition: "1", infra.MetaTopic: "x"}
	ours, err := marshaler{}.Marshal("t", msg)
	require.NoError(t, err)
	theirs, err := wmkafka.DefaultMarshaler{}.Unmarshal(consumed(t, ours))
	require.NoError(t, err)
	assert.Equal(t, "id-1", theirs.UUID)
	assert.Equal(t, message.Metadata{"ce_id": "e1"}, theirs.Metadata, "coordinates never become headers")
	assert.Equal(t, "body", string(theirs.Payload))

	plain := message.NewMessage("id-2", []byte("other"))
	plain.Metadata.Set("k", "v")
	written, err := wmkafka.DefaultMarshaler{}.Marshal("t", plain)
	require.NoError(t, err)
	got := marshaler{}.unmarshal("logical", consumed(t, written))
	assert.Equal(t, "id-2", got.UUID)
	assert.Equal(t, message.Metadata{"k": "v", infra.MetaKey: "", infra.MetaTopic: "logical", infra.MetaPartition: "3", infra.MetaOffset: "42"}, got.Metadata)
	assert.Equal(t, "other", string(got.Payload))

	plain.Metadata.Set(wmkafka.UUIDHeaderKey, "forged")
	_, err = marshaler{}.Marshal("t", plain)
	assert.Error(t, err)
}
