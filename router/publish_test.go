package router_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	gometrics "github.com/rcrowley/go-metrics"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/destinations"
	"eventserver/infra/kafka"
	"eventserver/metrics"
	"eventserver/router"
)

// sarama's meters have a goroutine that never ends, and TestMain looks for those.
func init() { gometrics.UseNilMetrics = true }

// counter counts the deliveries of each event, and tells when there are some.
type counter struct {
	mu    sync.Mutex
	times map[string]int
	order map[string][]string // event ids of each key
	more  chan struct{}       // cap 1
}

func (*counter) ID() string { return "d" }
func (*counter) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}
func (c *counter) Deliver(_ context.Context, d destinations.Delivery) error {
	c.mu.Lock()
	c.times[d.EventID]++
	c.order[d.Key] = append(c.order[d.Key], d.EventID)
	c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
	return nil
}

// wait returns when n events have been delivered.
func (c *counter) wait(t *testing.T, n int) {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		c.mu.Lock()
		got := len(c.times)
		c.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-c.more:
		case <-late:
			t.Fatalf("%d events were delivered, want %d", got, n)
		}
	}
}

const partitions, away = 4, 3 // away: the partition that refuses

func partition(t *testing.T, key string) int32 {
	t.Helper()
	p, err := sarama.NewMurmur2Partitioner("").Partition(&sarama.ProducerMessage{Key: sarama.StringEncoder(key)}, partitions)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// One partition of a destination's topic has too few replicas for a while. The
// events of the others were stored, and delivered, again with each try of their
// groups. Now only what was not stored is stored again, and in order.
func TestPartitionThatTakesNothing(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, err := kafka.New(kafka.Config{Brokers: c.ListenAddrs(), Partitions: partitions, MaxMessageBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	d := &counter{times: map[string]int{}, order: map[string][]string{}, more: make(chan struct{}, 1)}
	p, err := router.New(router.Config{Broker: b, Destinations: []router.Destination{{Destination: d}}, Metrics: m})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.EnsureTopics(t.Context(), p.Topics()...); err != nil {
		t.Fatal(err)
	}
	refusal := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: router.DestinationTopic("d"), Partitions: []int32{away},
		Err: kerr.NotEnoughReplicas, Count: -1})
	const users, each = 60, 2
	held := 0
	for n := range each {
		for u := range users {
			key := fmt.Sprint("u", u)
			if partition(t, key) == away {
				held++
			}
			e := destinations.Event{ID: fmt.Sprint(key, "-", n), Key: key, ReceivedAt: time.Now(), Data: []byte("{}")}
			if err := b.Publisher().Publish(router.EventsTopic, router.EncodeEvent(e)); err != nil {
				t.Fatal(err)
			}
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run(context.Background()) }()
	d.wait(t, users*each-held) // all the others', while it refuses
	refusal.Remove()
	d.wait(t, users*each)
	if err := errors.Join(p.Drain(context.Background()), p.Close(), <-ended, b.Close()); err != nil {
		t.Error(err)
	}
	for u := range users {
		key := fmt.Sprint("u", u)
		if got, want := fmt.Sprint(d.order[key]), fmt.Sprintf("[%s-0 %s-1]", key, key); got != want {
			t.Errorf("delivered %v, want %v (partition %d)", got, want, partition(t, key))
		}
	}
}
