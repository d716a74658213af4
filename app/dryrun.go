package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"eventserver/app/config"
	"eventserver/app/ingest"
	"eventserver/app/ingest/envelope"
	"eventserver/app/schema"
	"eventserver/destinations"
	"eventserver/router"
)

// DryRun runs one destination's types, filter and transforms on events as they
// would be posted. Nothing is stored or delivered.
func DryRun(ctx context.Context, cfg *config.Config, o Options, id string, body []byte) ([]Rehearsal, error) {
	envs, _, err := envelope.Parse(body, envelope.Limits{MaxEvents: cfg.HTTP.MaxBatchEvents, MaxEventBytes: int(cfg.HTTP.MaxEventBytes)})
	if err != nil {
		return nil, fmt.Errorf("the event would be refused: %w", err)
	}
	for _, c := range cfg.Destinations {
		if c.ID != id {
			continue
		}
		d, err := buildDestination(o.kinds(), c, int(cfg.HTTP.MaxEventBytes))
		if err != nil {
			return nil, err
		}
		if cl, ok := d.Destination.(io.Closer); ok {
			defer func() { _ = cl.Close() }()
		}
		judge, err := contractOf(cfg)
		if err != nil {
			return nil, err
		}
		judge.bind(&d, c.Schema)
		events, err := asAccepted(ctx, judge, envs)
		if err != nil {
			return nil, err
		}
		rehearsals := []Rehearsal{}
		for i, e := range events {
			rehearsals = append(rehearsals, rehearse(ctx, &d, i, e, recordLimit(cfg)-poisonHeadroom))
		}
		return rehearsals, nil
	}
	var ids []string
	for _, c := range cfg.Destinations {
		ids = append(ids, c.ID)
	}
	return nil, fmt.Errorf("there is no destination %q; the configuration has %s", id, strings.Join(ids, ", "))
}

// asAccepted gives the events as the server would store them, with the keys that
// their schemas name.
func asAccepted(ctx context.Context, judge *contract, envs []envelope.Envelope) ([]destinations.Event, error) {
	var c ingest.Contract
	if judge != nil {
		c = judge
	}
	now := time.Now().UTC()
	var spent schema.Spent // one request
	var events []destinations.Event
	for i, e := range envs {
		ev := ingest.Event(e, now)
		v, err := ingest.Judge(ctx, c, &ev, e.Key != "", &spent)
		if err != nil {
			return nil, err
		}
		if v != nil {
			return nil, fmt.Errorf("event %d would be refused: %w", i, v)
		}
		events = append(events, ev)
	}
	return events, nil
}

func rehearse(ctx context.Context, d *router.Destination, i int, ev destinations.Event, limit int) Rehearsal {
	r := Rehearsal{Index: i, EventID: ev.ID}
	p, err := d.Rehearse(ctx, ev, limit)
	switch {
	case errors.Is(err, destinations.ErrSkip):
	case err != nil:
		r.err, r.Fault = err, err.Error()
	default:
		r.Sent, r.ContentType, r.Payload = true, p.ContentType, p.Body
	}
	return r
}
