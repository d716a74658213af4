// Command typed is a program with events as Go types. It has a schema
// (schemas/payment.received.yaml) and its generated type (package events, by
// `eventserver schema generate`). It produces and handles payments.
//
//	go run ./examples/typed                # a server that also produces
//	go run ./examples/typed -handle-only   # another program's handlers, where the server is on Kafka
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"eventserver/app"
	"eventserver/app/typed"
	"eventserver/examples/typed/events"
)

// newCodecs is the one place that converts between the program's types and events.
func newCodecs() (*typed.Codecs, error) {
	return typed.NewCodecs(typed.JSON[events.PaymentReceived]())
}

// ledger is the state of the handler. A handler may get an event twice, after a crash, so
// the ledger remembers the booked events.
type ledger struct {
	out io.Writer

	mu      sync.Mutex
	booked  map[string]bool
	balance map[string]int64
}

func newLedger(out io.Writer) *ledger {
	return &ledger{out: out, booked: map[string]bool{}, balance: map[string]int64{}}
}

func (l *ledger) book(ctx context.Context, p events.PaymentReceived) error {
	d, _ := typed.Delivery(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.booked[d.EventID] {
		l.booked[d.EventID] = true
		l.balance[p.Customer] += p.Amount
	}
	_, err := fmt.Fprintf(l.out, "%s has paid %d %s in all\n", p.Customer, l.balance[p.Customer], p.Currency)
	return err
}

func main() {
	handleOnly := flag.Bool("handle-only", false, "only handle, on the cluster of consumer.yaml")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *handleOnly, "examples/typed", os.Stdout)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// run is the program. dir is the directory of its configuration.
func run(ctx context.Context, handleOnly bool, dir string, out io.Writer) error {
	codecs, err := newCodecs()
	if err != nil {
		return err
	}
	handlers := typed.Handlers{Codecs: codecs, Handlers: []typed.Handler{typed.Handle(newLedger(out).book)}}
	if handleOnly {
		return typed.Start(ctx, dir+"/consumer.yaml", handlers, app.Options{})
	}
	o := app.Options{Kinds: []app.Kind{typed.Kind(handlers)}}
	cfg, err := app.Load(dir+"/eventserver.yaml", o)
	if err != nil {
		return err
	}
	server, err := app.New(ctx, cfg, o)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-server.Ready():
	}
	if err := produce(ctx, server, codecs, out); err != nil {
		return err
	}
	return <-ended
}

// produce stores three payments, and shows what happens to an invalid one.
func produce(ctx context.Context, to typed.Store, codecs *typed.Codecs, out io.Writer) error {
	p, err := typed.NewProducer(typed.ProducerConfig{Store: to, Codecs: codecs, Source: "/examples/typed"})
	if err != nil {
		return err
	}
	for _, amount := range []int64{1250, 500, 99} {
		if _, err := p.Publish(ctx, events.PaymentReceived{Customer: "ada", Amount: amount, Currency: "EUR"}); err != nil {
			return err
		}
	}
	if _, err := p.Publish(ctx, events.PaymentReceived{Customer: "ada", Amount: -5, Currency: "EUR"}); err != nil {
		_, err = fmt.Fprintf(out, "not stored: %v\n", err)
		return err
	}
	return nil
}
