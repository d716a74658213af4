package main_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"eventserver/infra/embedded"
	"eventserver/infra/kafka"
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
			if header(rec, "es_mark") != "" { // it settles another record
				continue
			}
			user, n, ok := parseID(header(rec, "ce_id"))
			if !ok || user != string(rec.Key) {
				o.check.Foreign(fmt.Sprintf("poison of %s: event %q with the key %q", destination, header(rec, "ce_id"), rec.Key))
				continue
			}
			if string(rec.Value) != string(eventBody(user, n)) {
				o.check.Foreign(fmt.Sprintf("poison of %s: event %s has other bytes than were posted", destination, eventID(user, n)))
			}
			o.check.Poison(destination, user, n)
			if !o.script.doomed(destination, user, n, o.isClosing(user, n)) {
				t.Errorf("%s: event %d of %s is in the poison queue without reason: %s after %s attempts: %s", destination, n, user,
					header(rec, "es_poison_reason"), header(rec, "es_poison_attempts"), header(rec, "es_poison_detail"))
			}
		}
	}
}

func header(rec *sarama.ConsumerMessage, name string) string {
	for _, h := range rec.Headers {
		if string(h.Key) == name {
			return string(h.Value)
		}
	}
	return ""
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

// readEmbeddedPoison opens the directory of an embedded broker whose server
// has ended.
func (o *oracle) readEmbeddedPoison(t *testing.T, dir string) {
	t.Helper()
	b, err := embedded.New(embedded.Config{Dir: dir, Kafka: kafka.Config{InstanceID: "oracle"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	o.readPoison(t, b.Addrs(), "")
}
