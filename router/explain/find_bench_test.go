package explain

import (
	"context"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/infra/kafka"
	"eventserver/infra/pubsub"
	"eventserver/router"
	"eventserver/router/record"
)

// BenchmarkFind finds an event in the middle of 1,000,000 that came within a
// day, on kfake: by its id alone, which is a ULID; by its user too,
// which reads a partition of 12; and the next one by an id without a time.
func BenchmarkFind(b *testing.B) {
	const events = 1_000_000
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1)) // of all brokers, Kafka alone takes a record's time from its writer
	require.NoError(b, err)
	b.Cleanup(cluster.Close)
	addrs := cluster.ListenAddrs()
	log, err := kafka.Open(b.Context(), kafka.Config{Brokers: addrs, Partitions: 12})
	require.NoError(b, err)
	broker, err := pubsub.New(log, pubsub.Config{})
	require.NoError(b, err)
	b.Cleanup(func() { _ = broker.Close() })
	require.NoError(b, broker.EnsureTopics(b.Context(), infra.Topic{Name: record.EventsTopic}, infra.Topic{Name: record.DestinationTopic("d")}, infra.Topic{Name: record.PoisonTopic("d")}))
	began := time.Now().Add(-24 * time.Hour)
	id := fill(b, addrs, began, events)

	for name, q := range map[string]Question{
		"ulid": {ID: id}, "ulid and key": {ID: id, Key: "u7"}, "other id": {ID: "order-1"}, "other id and key": {ID: "order-1", Key: "u1"},
	} {
		b.Run(name, func(b *testing.B) {
			x, err := New(Config{Reader: broker, Groups: broker, Destinations: func() []router.Destination {
				return []router.Destination{{Destination: &receiver{id: "d"}}}
			}})
			require.NoError(b, err)
			var read int64
			for b.Loop() {
				out, err := x.Explain(context.Background(), q)
				require.NoError(b, err)
				require.Len(b, out.Accepted, 1)
				read = 0
				for _, s := range out.Searched {
					read += s.Records
				}
			}
			b.ReportMetric(float64(read), "records")
		})
	}
}

// fill writes events of ten users with the times that they would have, and
// returns the id of the middle one.
func fill(b *testing.B, addrs []string, began time.Time, n int) (middle string) {
	p, err := kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.ProducerBatchCompression(kgo.NoCompression()))
	require.NoError(b, err)
	defer p.Close()
	entropy := ulid.DefaultEntropy()
	var batch []*kgo.Record
	for i := range n {
		at := began.Add(time.Duration(i) * (24 * time.Hour / time.Duration(n)))
		id := ulid.MustNew(ulid.Timestamp(at), entropy).String()
		key := "u" + string(rune('0'+i%10))
		if i == n/2 {
			middle, key = id, "u7"
		}
		if i == n/2+1 {
			id = "order-1" // of u1
		}
		m := record.EncodeEvent(destinations.Event{ID: id, Key: key, Type: "t", ReceivedAt: at, Data: []byte(`{"n":1}`)})
		rec := &kgo.Record{Topic: record.EventsTopic, Key: []byte(key), Value: m.Payload, Timestamp: at}
		for k, v := range m.Metadata {
			if k != infra.MetaKey {
				rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: k, Value: []byte(v)})
			}
		}
		if batch = append(batch, rec); len(batch) == 200 || i == n-1 {
			require.NoError(b, p.ProduceSync(b.Context(), batch...).FirstErr())
			batch = batch[:0]
		}
	}
	return middle
}
