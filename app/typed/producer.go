package typed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"time"

	"github.com/oklog/ulid/v2"

	"eventserver/destinations"
	"eventserver/destinations/handler"
)

// Store is where a Producer puts events: *app.App (this process's server) and
// *app.Store (a cluster).
type Store interface {
	// Put returns when the events are durable. It holds them against their
	// schemas and fills in an ordering key that is "".
	Put(ctx context.Context, events ...destinations.Event) error
}

// ProducerConfig configures a Producer. Store and Codecs are needed.
type ProducerConfig struct {
	Store  Store
	Codecs *Codecs
	Source string // of every event, as CloudEvents' source; may be ""
}

// Producer stores a program's own types as events. It is safe for parallel use.
type Producer struct{ cfg ProducerConfig }

// NewProducer makes a Producer.
func NewProducer(c ProducerConfig) (*Producer, error) {
	if c.Store == nil || c.Codecs == nil {
		return nil, errors.New("typed: a Producer needs a Store and Codecs")
	}
	return &Producer{cfg: c}, nil
}

// Option changes one event.
type Option func(*destinations.Event)

// WithID gives the event an id; default a new ULID. The same id at a second try
// lets receivers see a repeat.
func WithID(id string) Option { return func(e *destinations.Event) { e.ID = id } }

// WithKey gives the ordering key, for types whose schema names none. Default:
// where the schema says, else the event's id.
func WithKey(key string) Option { return func(e *destinations.Event) { e.Key = key } }

// WithTime says when it happened; default now.
func WithTime(at time.Time) Option { return func(e *destinations.Event) { e.Time = at } }

// WithMetadata gives headers that go with the event to its receivers, by
// lower-case name. Default, in a handler: those of the event that it handles,
// so that a trace goes on.
func WithMetadata(md map[string]string) Option {
	return func(e *destinations.Event) { e.Metadata = maps.Clone(md) }
}

// Publish stores v as an event and returns its id. When it returns nil the event
// is durable. The error is a *schema.Violation when its schema refuses it.
func (p *Producer) Publish(ctx context.Context, v any, options ...Option) (id string, err error) {
	if at := reflect.ValueOf(v); at.Kind() == reflect.Pointer {
		if at.IsNil() {
			return "", fmt.Errorf("typed: there is nothing to publish: a nil %T", v)
		}
		if _, err := p.cfg.Codecs.of(at.Type()); err != nil {
			v = at.Elem().Interface()
		}
	}
	codec, err := p.cfg.Codecs.of(reflect.TypeOf(v))
	if err != nil {
		return "", err
	}
	data, err := codec.encode(v)
	if err != nil {
		return "", fmt.Errorf("typed: encode %s: %w", codec.typ, err)
	}
	now := time.Now().UTC()
	e := destinations.Event{ID: ulid.Make().String(), Type: codec.typ, Source: p.cfg.Source, Time: now, ReceivedAt: now,
		ContentType: "application/json", Data: data}
	if d, ok := handler.FromContext(ctx); ok {
		e.Metadata = d.Metadata
	}
	for _, o := range options {
		o(&e)
	}
	if err := p.cfg.Store.Put(ctx, e); err != nil {
		return "", err
	}
	return e.ID, nil
}
