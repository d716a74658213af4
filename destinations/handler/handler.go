package handler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"eventserver/destinations"
)

// Kind is the name in configurations.
const Kind = "handler"

// Func handles one event. ctx ends when the attempt's time is up or the
// partition goes to another process; FromContext finds the delivery in it too.
type Func func(ctx context.Context, d destinations.Delivery) error

// Config of a Destination.
type Config struct {
	// Handlers has a function for each type of event. The type "*" stands for
	// all that have none of their own.
	Handlers map[string]Func
	// SkipOthers says that events without a handler are not wanted. Otherwise
	// each of them is given up, with a reason that says so: an event that
	// nobody expected must not disappear.
	SkipOthers bool
}

// Destination calls the program's functions.
type Destination struct {
	id    string
	cfg   Config
	known string // the types that have handlers, for errors
}

// New makes a destination. It needs at least one handler.
func New(id string, c Config) (*Destination, error) {
	if len(c.Handlers) == 0 {
		return nil, errors.New("handler: there is no handler; give one for each type of event, or one for \"*\"")
	}
	for typ, f := range c.Handlers {
		if f == nil {
			return nil, fmt.Errorf("handler: the handler of %q is nil", typ)
		}
	}
	return &Destination{id: id, cfg: c, known: strings.Join(slices.Sorted(maps.Keys(c.Handlers)), ", ")}, nil
}

// ID implements destinations.Destination.
func (d *Destination) ID() string { return d.id }

// Transform implements destinations.Destination: a handler sees the event's own
// bytes.
func (d *Destination) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	if d.of(e.Type) == nil && d.cfg.SkipOthers {
		return destinations.Payload{}, destinations.ErrSkip
	}
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}

func (d *Destination) of(typ string) Func {
	if f, ok := d.cfg.Handlers[typ]; ok {
		return f
	}
	return d.cfg.Handlers["*"]
}

// Deliver implements destinations.Destination.
func (d *Destination) Deliver(ctx context.Context, del destinations.Delivery) error {
	f := d.of(del.EventType)
	switch {
	case f != nil:
		return f(context.WithValue(ctx, deliveryKey{}, del), del)
	case d.cfg.SkipOthers:
		return destinations.ErrSkip
	default:
		return destinations.Permanent(fmt.Errorf("handler: there is no handler for events of type %.100q; there are some for %s", del.EventType, d.known))
	}
}

type deliveryKey struct{}

// FromContext returns the delivery that a handler's context is of.
func FromContext(ctx context.Context) (destinations.Delivery, bool) {
	d, ok := ctx.Value(deliveryKey{}).(destinations.Delivery)
	return d, ok
}
