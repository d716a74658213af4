package router

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/record"
	"eventserver/router/routertest"
)

// BenchmarkDeliver is what the router costs for one event: from the
// destination's topic through every middleware, without broker and receiver.
func BenchmarkDeliver(b *testing.B) {
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	broker := &fakeBroker{pub: &fakePub{}, subs: map[string]*routertest.ChanSub{}}
	dest := &routertest.FuncDest{Name: "d", OnDeliver: func(context.Context, destinations.Delivery) error { return nil }}
	p, err := New(Config{Broker: broker, Destinations: []Destination{{Destination: dest}}, Metrics: m})
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run(context.Background()) }()
	if err := p.Running(b.Context()); err != nil {
		b.Fatal(err)
	}
	records := make([]*message.Message, 64) // of as many keys
	for i := range records {
		records[i] = routertest.Delivery(fmt.Sprint("user-", i), fmt.Sprint("event-", i))
	}
	in := broker.subs[record.DeliverGroup("d")].Ch
	claim, end := context.WithCancel(b.Context())
	defer end()
	var underway sync.WaitGroup
	slots := make(chan struct{}, len(records))
	receipt := infra.WithReceipt(claim, infra.ReceiptFunc(func(bool) { <-slots; underway.Done() }))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		slots <- struct{}{}
		underway.Add(1)
		rec := records[i%len(records)]
		msg := message.NewMessage(rec.UUID, rec.Payload)
		msg.Metadata = rec.Metadata
		msg.SetContext(receipt)
		in <- msg
	}
	underway.Wait()
	b.StopTimer()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := p.Drain(ctx); err != nil {
		b.Error(err)
	}
	if err := p.Close(); err != nil {
		b.Error(err)
	}
	<-ended
}
