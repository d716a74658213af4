package typed

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"eventserver/app"
	"eventserver/destinations"
	"eventserver/destinations/handler"
)

// Handler is a function for one type of event.
type Handler struct {
	goType reflect.Type
	call   func(ctx context.Context, v any) error
}

// Handle makes a Handler. fn is called for one event of a key at a time, in
// order. Its error is the verdict on the attempt: see package destinations.
// Delivery finds the event's id, key and attempt in ctx.
func Handle[T any](fn func(ctx context.Context, v T) error) Handler {
	h := Handler{goType: reflect.TypeFor[T]()}
	if fn != nil {
		h.call = func(ctx context.Context, v any) error { return fn(ctx, v.(T)) }
	}
	return h
}

// Delivery returns what a handler's context is of.
func Delivery(ctx context.Context) (destinations.Delivery, bool) { return handler.FromContext(ctx) }

// Handlers are a program's handlers and the codecs for their types.
type Handlers struct {
	Codecs   *Codecs
	Handlers []Handler
	// SkipOthers says that events of other types are not wanted. Otherwise each
	// is given up with a reason that says so.
	SkipOthers bool
}

// config makes what the destination needs of it.
func (h Handlers) config() (handler.Config, error) {
	c := handler.Config{Handlers: map[string]handler.Func{}, SkipOthers: h.SkipOthers}
	if h.Codecs == nil {
		return c, errors.New("typed: Handlers need Codecs")
	}
	var errs []error
	for _, one := range h.Handlers {
		codec, err := h.Codecs.of(one.goType)
		switch {
		case err != nil:
			errs = append(errs, err)
		case one.call == nil:
			errs = append(errs, fmt.Errorf("typed: the handler of %s is nil", codec.typ))
		case c.Handlers[codec.typ] != nil:
			errs = append(errs, fmt.Errorf("typed: %s has two handlers", codec.typ))
		default:
			c.Handlers[codec.typ] = one.decoded(codec)
		}
	}
	return c, errors.Join(errs...)
}

// decoded is the handler of an event's bytes. What cannot be decoded will not be
// at the next attempt either.
func (h Handler) decoded(codec Codec) handler.Func {
	return func(ctx context.Context, d destinations.Delivery) error {
		v, err := codec.decode(d.Payload.Body)
		if err != nil {
			return destinations.Permanent(fmt.Errorf("typed: decode %s as %v: %w", codec.typ, codec.goType, err))
		}
		return h.call(ctx, v)
	}
}

// NewDestination makes a destination of handlers.
func NewDestination(id string, h Handlers) (*handler.Destination, error) {
	c, err := h.config()
	if err != nil {
		return nil, err
	}
	return handler.New(id, c)
}

// Kind makes `kind: handler` of a program's handlers, for app.Options.
func Kind(h Handlers) app.Kind {
	return app.NewKind(handler.Kind, func(id string, _ struct{}) (destinations.Destination, error) { return NewDestination(id, h) })
}

// Start runs handlers until ctx ends, in a process of their own: nothing but the
// cluster and the destinations of kind handler that the configuration file
// names, each in its own consumer groups. There is no HTTP. The brokers memory and
// embedded are in the server's own process: there, handlers are a Kind.
func Start(ctx context.Context, config string, h Handlers, o app.Options) error {
	if _, err := h.config(); err != nil {
		return err
	}
	o.Kinds = append(append([]app.Kind{}, o.Kinds...), Kind(h))
	o.HandleOnly = true
	cfg, err := app.Load(config, o)
	if err != nil {
		return err
	}
	a, err := app.New(ctx, cfg, o)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
