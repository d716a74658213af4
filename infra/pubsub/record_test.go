package pubsub

import (
	"testing"

	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"eventserver/infra"
)

func TestRecord(t *testing.T) {
	t.Parallel()
	assert.Equal(t, kafka.UUIDHeaderKey, uuidHeader)
	m := message.NewMessage("id-1", []byte("body"))
	m.Metadata = message.Metadata{"ce_id": "e1", infra.MetaKey: "ada", infra.MetaOffset: "7", infra.MetaPartition: "1", infra.MetaTopic: "x"}
	rec := &infra.Record{Topic: "t", Partition: 3, Offset: 42}
	require.NoError(t, write(rec, m))
	assert.Equal(t, "ada", string(rec.Key))
	assert.Equal(t, "id-1", uuidOf(rec))
	assert.Len(t, rec.Headers, 2, "coordinates never become headers")
	assert.Equal(t, len("ada")+len(uuidHeader)+len("id-1")+len("ce_id")+len("e1")+len("body"), sizeOf(rec))

	got := read(rec)
	assert.Equal(t, "id-1", got.UUID)
	assert.Equal(t, "body", string(got.Payload))
	assert.Equal(t, message.Metadata{"ce_id": "e1", infra.MetaKey: "ada", infra.MetaTopic: "t", infra.MetaPartition: "3", infra.MetaOffset: "42"}, got.Metadata)

	m.Metadata.Set(uuidHeader, "forged")
	require.ErrorContains(t, write(rec, m), "reserved")
	keyless := message.NewMessage("id-2", nil)
	require.NoError(t, write(rec, keyless))
	assert.Equal(t, "id-2", string(rec.Key), "an empty key would send every keyless message to one partition")
	foreign := read(&infra.Record{Headers: []infra.Header{{Key: []byte("k"), Value: nil}}})
	assert.Empty(t, foreign.UUID)
	assert.Contains(t, foreign.Metadata, "k")
}

// A publisher may go on using its message, and a handler may write on the one
// it was given: neither reaches the log or another group.
func TestMessagesAreNotShared(t *testing.T) {
	t.Parallel()
	e := newEnv(t, Config{})
	m := newMessage("u", "stored")
	m.Metadata.Set("k", "stored")
	require.NoError(t, e.Publisher(infra.Durable).Publish(topic, m))
	copy(m.Payload, "edited")
	m.Metadata.Set("k", "edited")
	for range 2 {
		s, in := e.subscribe()
		got := e.receive(in)
		assert.Equal(t, "stored", string(got.Payload))
		assert.Equal(t, "stored", got.Metadata.Get("k"))
		copy(got.Payload, "edited")
		got.Metadata.Set("k", "edited")
		settle(false, got)
		require.NoError(t, s.Close())
	}
}

func benchMessage() *message.Message {
	m := message.NewMessage("01KB2J6Z7Q8V9W0X1Y2Z3A4B5C", make([]byte, 200))
	m.Metadata = message.Metadata{infra.MetaKey: "user-123", "ce_specversion": "1.0", "ce_id": m.UUID, "ce_type": "order.placed",
		"ce_source": "shop", "content-type": "application/json", "es_received_at": "2026-11-26T01:13:29.123456789Z", "es_sequence": "123456"}
	return m
}

func BenchmarkWrite(b *testing.B) {
	m := benchMessage()
	b.ReportAllocs()
	for b.Loop() {
		if err := write(new(infra.Record), m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	rec := &infra.Record{Topic: "events", Partition: 3, Offset: 123456}
	if err := write(rec, benchMessage()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		read(rec)
	}
}
