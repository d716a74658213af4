package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
	"go.opentelemetry.io/otel/trace"

	"eventserver/app/config"
	"eventserver/app/ingest"
	"eventserver/app/ingest/envelope"
	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/router"
	"eventserver/router/record"
)

// Store puts events straight on the events topic, as the HTTP front does: held
// against their schemas, with the ordering key that these name, and durable when
// Put returns. Programs and the command line use it where there is a cluster and
// no HTTP.
type Store struct {
	broker infra.Broker
	judge  ingest.Contract // nil: no schemas
	limit  int             // bytes of an event
	tracer trace.Tracer    // nil: no spans
	system string          // in them
}

// OpenStore connects to the cluster that the configuration names. The other kinds
// of broker are in the server's own process: App.Put is their way.
func OpenStore(ctx context.Context, cfg *config.Config, o Options) (_ *Store, err error) {
	log := o.logger()
	s := &Store{limit: int(cfg.HTTP.MaxEventBytes)}
	judge, err := contractOf(cfg)
	if err != nil {
		return nil, err
	}
	if judge != nil {
		s.judge = judge
	}
	if err := needShared(cfg, "post events to the server's http.addr"); err != nil {
		return nil, err
	}
	if s.broker, err = o.openBroker(ctx, cfg, log, hooks{}); err != nil {
		return nil, err
	}
	if err := s.broker.EnsureTopics(ctx, infra.Topic{Name: record.EventsTopic}); err != nil {
		return nil, errors.Join(fmt.Errorf("topics: %w", err), s.broker.Close())
	}
	return s, nil
}

// Put stores events. When it returns nil all of them are durable; when it returns an
// error some may be. The error is a *schema.Violation when a schema refuses one, and then
// none is stored.
//
// It fills in what an event lacks: ID a new ULID, ContentType "application/json",
// ReceivedAt now, Time the same, Key the one that its schema names, or its ID. The caller
// finds it in events.
func (s *Store) Put(ctx context.Context, events ...destinations.Event) error {
	for i := range events {
		e := &events[i]
		complete(e, time.Now())
		if err := s.settle(ctx, e, e.Key != "" && e.Key != e.ID); err != nil {
			return err
		}
	}
	return s.publish(events)
}

// complete fills in what an event lacks, but for its key.
func complete(e *destinations.Event, now time.Time) {
	if e.ID == "" {
		e.ID = ulid.Make().String()
	}
	if e.ContentType == "" {
		e.ContentType = "application/json"
	}
	if e.ReceivedAt.IsZero() {
		e.ReceivedAt = now
	}
	if e.Time.IsZero() {
		e.Time = e.ReceivedAt
	}
}

// EventError is the error of one event of several.
type EventError struct {
	Index int
	Err   error
}

// Error implements error.
func (e *EventError) Error() string { return fmt.Sprintf("[%d]: %v", e.Index, e.Err) }

// Unwrap returns Err.
func (e *EventError) Unwrap() error { return e.Err }

// PutJSON stores events as POST /v1/events takes them, each of them one JSON object,
// and returns their ids. An *EventError says which event is refused; none is stored
// then. With any other error some may be.
func (s *Store) PutJSON(ctx context.Context, bodies ...[]byte) ([]string, error) {
	now := time.Now().UTC()
	events, ids := make([]destinations.Event, len(bodies)), make([]string, len(bodies))
	for i, body := range bodies {
		envs, _, err := envelope.Parse(body, envelope.Limits{MaxEventBytes: s.limit})
		if err == nil && len(envs) != 1 {
			err = errors.New("must be one JSON object")
		}
		if err != nil {
			return nil, &EventError{i, err}
		}
		events[i] = ingest.Event(envs[0], now)
		if err := s.settle(ctx, &events[i], envs[0].Key != ""); err != nil {
			return nil, &EventError{i, err}
		}
		ids[i] = events[i].ID
	}
	return ids, s.publish(events)
}

// settle holds an event against its limit and its schema and gives it its key.
// keyed: it has one of its own.
func (s *Store) settle(ctx context.Context, e *destinations.Event, keyed bool) error {
	if v, err := ingest.Judge(ctx, s.judge, e, keyed, nil); err != nil {
		return err
	} else if v != nil {
		return v
	}
	if e.Key == "" {
		e.Key = e.ID
	}
	return envelope.Check(e.ID, e.Type, e.Source, e.Key, e.Data, envelope.Limits{MaxEventBytes: s.limit})
}

func (s *Store) publish(events []destinations.Event) error {
	recs, err := record.EncodeEvents(events)
	if err != nil {
		return err
	}
	return router.Publish(s.broker.Publisher(infra.Durable), s.tracer, s.system, recs)
}

// Close releases the broker.
func (s *Store) Close() error { return s.broker.Close() }
