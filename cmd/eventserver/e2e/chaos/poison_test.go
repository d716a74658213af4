package chaos_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventserver/infra/local"
)

// readPoison tells the checker what the poison queues hold. It reads the topics
// as any Kafka client would.
func (o *oracle) readPoison(t *testing.T, addrs []string, prefix string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addrs...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, destination := range o.names {
		records, err := readTopic(t.Context(), client, prefix+"poison."+destination)
		if err != nil {
			t.Errorf("poison queue of %s: %v", destination, err)
		}
		for _, rec := range records {
			headers := map[string]string{}
			for _, h := range rec.Headers {
				headers[h.Key] = string(h.Value)
			}
			o.checkPoison(t, destination, string(rec.Key), headers, rec.Value)
		}
	}
}

// checkPoison tells the checker of one record of a poison queue.
func (o *oracle) checkPoison(t *testing.T, destination, key string, headers map[string]string, value []byte) {
	t.Helper()
	if headers["es_mark"] != "" { // it settles another record
		return
	}
	user, n, ok := parseID(headers["ce_id"])
	if !ok || user != key {
		o.check.Foreign(fmt.Sprintf("poison of %s: event %q with the key %q", destination, headers["ce_id"], key))
		return
	}
	if string(value) != string(eventBody(user, n)) {
		o.check.Foreign(fmt.Sprintf("poison of %s: event %s has other bytes than were posted", destination, eventID(user, n)))
	}
	o.check.Poison(destination, user, n)
	if !o.script.endsPoisoned(destination, user, n, o.isClosing(user, n)) {
		t.Errorf("%s: event %d of %s is in the poison queue without reason: %s after %s attempts: %s", destination, n, user,
			headers["es_poison_reason"], headers["es_poison_attempts"], headers["es_poison_detail"])
	}
}

// readTopic returns every record of a topic that nobody writes to any more.
func readTopic(ctx context.Context, client *kgo.Client, topic string) (all []*kgo.Record, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, err
	}
	left := map[int32]int64{} // the last offset of a partition that is not read to its end
	at := map[int32]kgo.Offset{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition], at[o.Partition] = o.Offset-1, kgo.NewOffset().AtStart()
		}
	})
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: at})
	defer client.PurgeTopicsFromConsuming(topic)
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("read %d records of the topic and not to the ends: %v", len(all), left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			all = append(all, r)
			if r.Offset >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return all, nil
}

// readEmbeddedPoison is readPoison of an embedded broker's directory, whose server
// has ended.
func (o *oracle) readEmbeddedPoison(t *testing.T, dir string) {
	t.Helper()
	l, err := local.Open(local.Config{Dir: dir, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, destination := range o.names {
		topic := "poison." + destination
		bounds, err := l.Bounds(t.Context(), topic, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for partition, b := range bounds {
			cursor, err := l.Open(t.Context(), topic, partition, b.Oldest)
			if err != nil {
				t.Fatal(err)
			}
			read := int64(0)
			for {
				records, err := cursor.Read(t.Context(), 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				if len(records) == 0 {
					break
				}
				for _, rec := range records {
					read++
					headers := map[string]string{}
					for _, h := range rec.Headers {
						headers[string(h.Key)] = string(h.Value)
					}
					o.checkPoison(t, destination, string(rec.Key), headers, rec.Value)
				}
			}
			cursor.Close()
			if read != b.End-b.Oldest {
				t.Errorf("poison queue of %s, partition %d: read %d records of %d", destination, partition, read, b.End-b.Oldest)
			}
		}
	}
}
