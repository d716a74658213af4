package router

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/infra/brokertest/inmemory"
	"eventserver/infra/pubsub"
	"eventserver/metrics"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// Events that a destination's types leave out are counted and done with. What nobody
// can decode is given up whatever the types say.
func TestTypesLeaveOut(t *testing.T) {
	mem := inmemory.Open(t, 3, pubsub.Config{})
	r := &rig{T: t, registry: prometheus.NewRegistry()}
	m, err := metrics.New(r.registry)
	if err != nil {
		t.Fatal(err)
	}
	some, all := newSequence(), newSequence()
	picky := some.destination("picky")
	picky.Types = []string{"a.*", "b"}
	if r.pipeline, err = New(Config{Broker: mem, Destinations: []Destination{picky, all.destination("all")}, Metrics: m}); err != nil {
		t.Fatal(err)
	}
	if err := mem.EnsureTopics(t.Context(), r.pipeline.Topics()...); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.pipeline.Run(context.Background()) }()
	defer func() {
		if err := r.pipeline.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	}()
	types := []string{"a.x", "b", "c", "bb", ""}
	const rounds = 10
	var msgs []*message.Message
	for i := range rounds {
		for _, typ := range types {
			id := fmt.Sprint(typ, "-", i)
			msgs = append(msgs, record.EncodeEvent(destinations.Event{ID: id, Type: typ, Key: fmt.Sprint("u", i), ReceivedAt: time.Now(), Data: []byte("{}")}))
		}
	}
	foreign := message.NewMessage("foreign", []byte("?"))
	if err := mem.Publisher(infra.Durable).Publish(record.EventsTopic, append(msgs, foreign)...); err != nil {
		t.Fatal(err)
	}
	all.await(t, len(msgs))
	some.await(t, 2*rounds)
	routertest.Eventually(t, "the foreign record is poisoned twice", func() bool {
		return r.metric("eventserver_deliveries_total", map[string]string{"destination": "picky", "outcome": metrics.Poisoned}) == 1 &&
			r.metric("eventserver_deliveries_total", map[string]string{"destination": "all", "outcome": metrics.Poisoned}) == 1
	})
	routertest.Eventually(t, "what was left out is counted", func() bool {
		return r.metric("eventserver_deliveries_total", map[string]string{"destination": "picky", "outcome": metrics.Skipped}) == 3*rounds
	})
	routertest.Eventually(t, "nothing waits", func() bool {
		lag, err := infra.LagOf(t.Context(), mem, record.TransformGroup("picky"), record.EventsTopic)
		return err == nil && lag == 0
	})
	some.check(t, "picky", false)
	all.check(t, "all", false)
}
