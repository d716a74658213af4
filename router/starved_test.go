package router

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/infra/brokertest/inmemory"
	"eventserver/infra/pubsub"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// Two users whose events fail for ever opened the breaker. Their events filled all places,
// no event of anybody else was read, and the destination stayed closed.
func TestBusyUsersWhoFailKeepNobodyFromBeingRead(t *testing.T) {
	b := inmemory.Open(t, 1, pubsub.Config{})
	good := make(chan struct{})
	deliver := func(_ context.Context, d destinations.Delivery) error {
		if d.Key == "good" {
			close(good)
			return nil
		}
		return destinations.Unavailable(routertest.ErrPlain)
	}
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	d := Destination{Destination: &routertest.FuncDest{Name: "d", OnDeliver: deliver}, Concurrency: 4,
		Retry: attempt.Retry{Max: time.Millisecond}, Breaker: attempt.Breaker{Initial: time.Millisecond, Max: time.Millisecond}}
	p, err := New(Config{Broker: b, Destinations: []Destination{d}, Metrics: m})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.EnsureTopics(t.Context(), p.Topics()...); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.Run(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := p.Running(t.Context()); err != nil {
		t.Fatal(err)
	}
	accept := func(key string, events int) {
		t.Helper()
		msgs := make([]*message.Message, events)
		for n := range msgs {
			msgs[n] = record.EncodeEvent(destinations.Event{ID: fmt.Sprint(key, "-", n), Key: key, Type: "t", ReceivedAt: time.Now(), Data: []byte(`{}`)})
		}
		if err := b.Publisher(infra.Durable).Publish(record.EventsTopic, msgs...); err != nil {
			t.Fatal(err)
		}
	}
	accept("bad1", 1)
	accept("bad2", 1)
	routertest.Eventually(t, "the breaker is open", func() bool { s, _ := p.Status("d"); return s.Breaker.Open })
	accept("bad1", 2000) // more than are transformed ahead
	accept("bad2", 100)
	accept("good", 1)
	select {
	case <-good:
	case <-time.After(30 * time.Second):
		t.Error("nobody else's event was delivered")
	}
	if err := errors.Join(p.Drain(context.Background()), p.Close()); err != nil {
		t.Error(err)
	}
	running.Wait()
}
