// Command ownbroker is event-server with its own kind of broker: the log of the embedded
// broker, with every payload encrypted.
//
//	SEALED_SECRET=... go run ./examples/ownbroker -config examples/ownbroker/eventserver.yaml
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"

	"eventserver/app"
)

func main() {
	path := flag.String("config", "", "configuration file")
	flag.Parse()
	if err := run(*path, app.Options{Brokers: []app.BrokerKind{app.NewBroker("sealed", open)}}); err != nil {
		log.Fatal(err)
	}
}

func run(path string, o app.Options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cfg, err := app.Load(path, o)
	if err != nil {
		return err
	}
	a, err := app.New(ctx, cfg, o)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
