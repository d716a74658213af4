package kafka

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"

	"eventserver/infra"
)

func benchMessage() *message.Message {
	msg := message.NewMessage("01KB2J6Z7Q8V9W0X1Y2Z3A4B5C", make([]byte, 200))
	msg.Metadata = message.Metadata{infra.MetaKey: "user-123", "ce_specversion": "1.0", "ce_id": msg.UUID, "ce_type": "order.placed",
		"ce_source": "shop", "content-type": "application/json", "es_received_at": "2026-11-26T01:13:29.123456789Z", "es_sequence": "123456"}
	return msg
}

func BenchmarkMarshal(b *testing.B) {
	msg := benchMessage()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (marshaler{}).Marshal("events", msg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	p, err := marshaler{}.Marshal("events", benchMessage())
	if err != nil {
		b.Fatal(err)
	}
	rec := &sarama.ConsumerMessage{Topic: p.Topic, Partition: 3, Offset: 123456, Key: []byte("user-123"), Value: make([]byte, 200)}
	for i := range p.Headers {
		rec.Headers = append(rec.Headers, &p.Headers[i])
	}
	b.ReportAllocs()
	for b.Loop() {
		marshaler{}.unmarshal("events", rec)
	}
}
