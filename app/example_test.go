package app_test

import (
	"context"
	"fmt"
	"log"

	"eventserver/app"
	"eventserver/destinations"
)

// printer is a destination of the program's own: it prints what is delivered.
type printer struct{ id string }

func (p printer) ID() string { return p.id }

func (p printer) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}

func (p printer) Deliver(_ context.Context, d destinations.Delivery) error {
	fmt.Printf("%s of %s: %s\n", d.EventType, d.Key, d.Payload.Body)
	return nil
}

// A program that has the server in its own process, with a destination of its own.
func Example() {
	o := app.Options{Kinds: []app.Kind{
		app.NewKind("printer", func(id string, _ struct{}) (destinations.Destination, error) { return printer{id}, nil }),
	}}
	cfg, err := app.Parse([]byte(`
http: {addr: "127.0.0.1:0"}
broker: {kind: memory}
destinations:
  - {id: console, kind: printer, types: ["order.*"]}
`), o)
	if err != nil {
		log.Fatal(err) // every fault, with its line
	}
	ctx, stop := context.WithCancel(context.Background())
	server, err := app.New(ctx, cfg, o)
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- server.Run(ctx) }()
	<-server.Ready()

	// Events come by POST to server.Addr(), or from the program itself.
	err = server.Put(ctx,
		destinations.Event{Type: "order.placed", Key: "user-7", Data: []byte(`{"total":12}`)},
		destinations.Event{Type: "user.signed_up", Key: "user-8", Data: []byte(`{}`)},
		destinations.Event{Type: "order.paid", Key: "user-7", Data: []byte(`{"total":12}`)})
	if err != nil {
		log.Fatal(err)
	}
	if err := server.WaitDelivered(ctx); err != nil {
		log.Fatal(err)
	}
	stop()
	if err := <-ended; err != nil {
		log.Fatal(err)
	}
	// Output:
	// order.placed of user-7: {"total":12}
	// order.paid of user-7: {"total":12}
}
