package router

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"eventserver/destinations"
	"eventserver/metrics"
	"eventserver/router/record"
	"eventserver/router/schedule"
)

// bodiesOf1MiB are payloads whose values a text about them must not repeat.
var bodiesOf1MiB = map[string]string{
	"plain":   `["` + strings.Repeat(strings.Repeat("v", 45)+`","`, 20_000) + `x"]`,
	"slashes": `["` + strings.Repeat(strings.Repeat("a/", 22)+`","`, 20_000) + `x"]`,
	"short":   `["` + strings.Repeat(`éab1","`, 130_000) + `x"]`,
	"numbers": `[` + strings.Repeat(`1234567,`, 130_000) + `1]`,
	"long":    `["` + strings.Repeat("é v", 260_000) + `"]`,
	"text":    strings.Repeat("no JSON at all ", 70_000),
}

// BenchmarkGivenUp is what it costs to make the poison record of an event of 1 MiB, whose
// receiver has answered with a text.
func BenchmarkGivenUp(b *testing.B) {
	err := errors.New("webhook answered 422: {\"error\":\"the field customer.address.city is required\",\"at\":\"/customer/address\",\"request\":\"01J9Z3\"}")
	for name, body := range bodiesOf1MiB {
		msg := delivery("ada@example.com", "e1")
		msg.Payload = []byte(body)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				giveUpNow(metrics.ReasonPermanent, err).poisonRecord(msg, record.StageDeliver)
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
	d := &deliverer{dest: &funcDest{id: "d", deliver: func(context.Context, destinations.Delivery) error { return fail }},
		metrics: m.Destination("d", "k", func() metrics.State { return metrics.State{} }), log: slog.New(slog.DiscardHandler), recent: &recent{}}
	health := &health{log: d.log}
	for name, body := range bodiesOf1MiB {
		msg := delivery("ada@example.com", "e1")
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
