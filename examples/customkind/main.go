// Command customkind is event-server with its own kind of destination.
//
//	go run ./examples/customkind -config examples/customkind/eventserver.yaml
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"

	"eventserver/app"
	"eventserver/destinations"
)

// shout is a small destination: it prints events with a prefix.
type shout struct {
	id string
	Config
}

// Config has the kind's own keys.
type Config struct {
	Prefix string `yaml:"prefix" default:"HEY" doc:"What each line starts with."`
}

func (s shout) ID() string { return s.id }
func (s shout) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}
func (s shout) Deliver(_ context.Context, d destinations.Delivery) error {
	_, err := fmt.Printf("%s %s: %s!\n", s.Prefix, d.Key, d.Payload.Body)
	return err
}

func main() {
	path := flag.String("config", "", "configuration file")
	flag.Parse()
	kind := app.NewKind("shout", func(id string, c Config) (destinations.Destination, error) { return shout{id, c}, nil })
	if err := run(*path, app.Options{Kinds: []app.Kind{kind}}); err != nil {
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
