package typed_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"eventserver/app"
	"eventserver/app/typed"
)

// paid is a type of the program's own; NewCodec says how it becomes an event.
type paid struct {
	Customer string `json:"customer"`
	Amount   int    `json:"amount"`
}

func paidCodec() typed.Codec {
	return typed.NewCodec("payment.received",
		func(p paid) ([]byte, error) { return json.Marshal(p) },
		func(data []byte) (p paid, err error) { return p, json.Unmarshal(data, &p) })
}

// A program that stores its types as events and handles them, with the server in its own
// process.
func Example() {
	codecs, err := typed.NewCodecs(paidCodec())
	if err != nil {
		log.Fatal(err)
	}
	book := typed.Handle(func(ctx context.Context, p paid) error {
		d, _ := typed.Delivery(ctx)
		fmt.Printf("%s has paid %d (attempt %d)\n", p.Customer, p.Amount, d.Attempt)
		return nil
	})
	o := app.Options{Kinds: []app.Kind{typed.Kind(typed.Handlers{Codecs: codecs, Handlers: []typed.Handler{book}})}}
	cfg, err := app.Parse([]byte("http: {addr: '127.0.0.1:0'}\nbroker: {kind: memory}\ndestinations: [{id: ledger, kind: handler}]"), o)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	server, err := app.New(ctx, cfg, o)
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- server.Run(ctx) }()
	<-server.Ready()

	payments, err := typed.NewProducer(typed.ProducerConfig{Store: server, Codecs: codecs})
	if err != nil {
		log.Fatal(err)
	}
	for _, amount := range []int{12, 30} {
		if _, err := payments.Publish(ctx, paid{Customer: "ann", Amount: amount}, typed.WithKey("ann")); err != nil {
			log.Fatal(err)
		}
	}
	if err := server.WaitDelivered(ctx); err != nil {
		log.Fatal(err)
	}
	stop()
	if err := <-ended; err != nil {
		log.Fatal(err)
	}
	// Output:
	// ann has paid 12 (attempt 1)
	// ann has paid 30 (attempt 1)
}
