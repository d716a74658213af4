package main_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"eventserver/infra/local"
)

// readPoison tells the checker what the poison queues hold. It reads the topics
// as any Kafka client would.
func (o *oracle) readPoison(t *testing.T, addrs []string, prefix string) {
	t.Helper()
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V3_6_0_0
	cfg.Metadata.Retry.Max = 20
	client, err := sarama.NewClient(addrs, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	for _, destination := range o.names {
		records, err := readTopic(client, prefix+"poison."+destination)
		if err != nil {
			t.Errorf("poison queue of %s: %v", destination, err)
		}
		for _, rec := range records {
			headers := map[string]string{}
			for _, h := range rec.Headers {
				headers[string(h.Key)] = string(h.Value)
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
	if !o.script.doomed(destination, user, n, o.isClosing(user, n)) {
		t.Errorf("%s: event %d of %s is in the poison queue without reason: %s after %s attempts: %s", destination, n, user,
			headers["es_poison_reason"], headers["es_poison_attempts"], headers["es_poison_detail"])
	}
}

// readTopic returns every record of a topic that nobody writes to any more.
func readTopic(client sarama.Client, topic string) ([]*sarama.ConsumerMessage, error) {
	partitions, err := client.Partitions(topic)
	if err != nil {
		return nil, err
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return nil, err
	}
	defer func() { _ = consumer.Close() }()
	var all []*sarama.ConsumerMessage
	for _, p := range partitions {
		end, err := client.GetOffset(topic, p, sarama.OffsetNewest)
		if err != nil {
			return nil, err
		}
		if end == 0 {
			continue
		}
		pc, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
		if err != nil {
			return nil, err
		}
		for late := time.After(30 * time.Second); ; {
			var rec *sarama.ConsumerMessage
			select {
			case rec = <-pc.Messages():
			case <-late:
			}
			if rec == nil {
				return nil, fmt.Errorf("partition %d: read %d records of the topic and not to its end, %d", p, len(all), end)
			}
			all = append(all, rec)
			if rec.Offset >= end-1 {
				break
			}
		}
		if err := pc.Close(); err != nil {
			return nil, err
		}
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
