package router_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/infra/kafka"
	"eventserver/infra/pubsub"
	"eventserver/metrics"
	"eventserver/router"
	"eventserver/router/record"
)

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

// lateBroker has its pipeline store what runs come to when it is told to: what comes
// meanwhile gathers.
type lateBroker struct {
	infra.Broker
	begin chan struct{}
	read  chan struct{} // has one when the first run is handed out
}

func (b *lateBroker) Subscriber(group string, cfg infra.SubscriberConfig) (infra.Subscriber, error) {
	sub, err := b.Broker.Subscriber(group, cfg)
	if err == nil && group == record.TransformGroup("d") {
		sub = &lateSub{sub, b}
	}
	return sub, err
}

type lateOwner struct {
	infra.RunOwner
	late *lateBroker
}

func (o lateOwner) Store(out []infra.Output, done ...*infra.Part) error {
	<-o.late.begin
	return o.RunOwner.Store(out, done...)
}

type lateSub struct {
	infra.Subscriber
	late *lateBroker
}

func (s *lateSub) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	in, err := s.Subscriber.Subscribe(ctx, topic)
	out := make(chan *message.Message)
	go func() {
		for m := range in {
			run := infra.RunOf(m)
			m.SetContext(infra.WithRun(m.Context(), &infra.Run{Parts: run.Parts, RunOwner: lateOwner{run, s.late}}))
			out <- m
			select {
			case s.late.read <- struct{}{}:
			default:
			}
		}
		close(out)
	}()
	return out, err
}

const partitions, away = 4, 3 // away: the partition that refuses

func refused(t *testing.T, key string) bool {
	t.Helper()
	return kgo.StickyKeyPartitioner(nil).ForTopic("").Partition(&kgo.Record{Key: []byte(key)}, partitions) == away
}

// One partition of a destination's topic has too few replicas for a while. What the
// others stored of a run is stored once, and what it refused follows in order.
func TestPartitionThatTakesNothing(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l, err := kafka.Open(t.Context(), kafka.Config{Brokers: c.ListenAddrs(), Partitions: partitions, MaxMessageBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	b, err := pubsub.New(l, pubsub.Config{})
	if err != nil {
		t.Fatal(err)
	}
	const users, each, first = 60, 2, 4
	late := &lateBroker{Broker: b, begin: make(chan struct{}), read: make(chan struct{}, 1)}
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	d := &counter{times: map[string]int{}, order: map[string][]string{}, more: make(chan struct{}, 1)}
	p, err := router.New(router.Config{Broker: late, Destinations: []router.Destination{{Destination: d}}, Metrics: m})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.EnsureTopics(t.Context(), p.Topics()...); err != nil {
		t.Fatal(err)
	}
	refusal := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: record.DestinationTopic("d"), Partitions: []int32{away},
		Err: kerr.NotEnoughReplicas, Count: -1})
	ended := make(chan error, 1)
	go func() { ended <- p.Run(context.Background()) }()

	accept := func(key string, n int) {
		e := destinations.Event{ID: fmt.Sprint(key, "-", n), Key: key, ReceivedAt: time.Now(), Data: []byte("{}")}
		if err := b.Publisher(infra.Durable).Publish(record.EventsTopic, record.EncodeEvent(e)); err != nil {
			t.Fatal(err)
		}
	}
	for n, stored := 0, 0; stored < first; n++ { // these are being stored while the others come
		if key := fmt.Sprint("w", n); !refused(t, key) {
			accept(key, 0)
			stored++
		}
	}
	<-late.read
	held := 0
	for n := range each {
		for u := range users {
			key := fmt.Sprint("u", u)
			accept(key, n)
			if refused(t, key) {
				held++
			}
		}
	}
	close(late.begin)
	d.wait(t, first+users*each-held) // all that can be, while it refuses
	refusal.Remove()
	d.wait(t, first+users*each)
	if err := errors.Join(p.Drain(context.Background()), p.Close(), <-ended, b.Close()); err != nil {
		t.Error(err)
	}
	for u := range users {
		key := fmt.Sprint("u", u)
		if got, want := fmt.Sprint(d.order[key]), fmt.Sprintf("[%s-0 %s-1]", key, key); got != want {
			t.Errorf("delivered %v, want %v (refused: %v)", got, want, refused(t, key))
		}
	}
}
