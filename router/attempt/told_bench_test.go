package attempt

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/record"
	"eventserver/router/routertest"
	"eventserver/router/schedule"
)

// BenchmarkGivenUp is what it costs to make the poison record of an event of 1 MiB, whose
// receiver has answered with a text.
func BenchmarkGivenUp(b *testing.B) {
	err := errors.New("webhook answered 422: {\"error\":\"the field customer.address.city is required\",\"at\":\"/customer/address\",\"request\":\"01J9Z3\"}")
	for name, body := range routertest.BodiesOf1MiB {
		msg := routertest.Delivery("ada@example.com", "e1")
		msg.Payload = []byte(body)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				GiveUpNow(metrics.ReasonPermanent, err).PoisonRecord(msg, record.StageDeliver)
			}
		})
	}
}

// BenchmarkFailedAttempt is an attempt of an event of 1 MiB that fails, without its
// receiver and with debug lines off.
func BenchmarkFailedAttempt(b *testing.B) {
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	fail := destinations.Logged(errors.New("webhook answered 500: oops"), "webhook answered 500")
	d := &deliverer{dest: &routertest.FuncDest{Name: "d", OnDeliver: func(context.Context, destinations.Delivery) error { return fail }},
		metrics: m.Destination("d", "k", func() metrics.State { return metrics.State{} }), log: slog.New(slog.DiscardHandler), recent: &Recent{}}
	health := &Health{Log: d.log}
	for name, body := range routertest.BodiesOf1MiB {
		msg := routertest.Delivery("ada@example.com", "e1")
		msg.Payload = []byte(body)
		a := &attempt{Context: context.Background()}
		a.Deliveries = []*schedule.Delivery{{Message: msg}}
		msg.SetContext(a)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				err := d.handle(msg)
				health.outcome(class(context.Background(), err), err)
			}
		})
	}
}
