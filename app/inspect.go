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
	"eventserver/router/plural"
	"eventserver/router/record"
)

// WriteTopology prints what a configuration makes: brokers, topics, groups,
// destinations. Secrets are hidden.
func WriteTopology(w io.Writer, cfg *config.Config) error {
	var b strings.Builder
	where := ""
	switch cfg.Broker.Kind {
	case "embedded":
		where = " (" + cfg.Broker.Dir + ")"
	case "kafka":
		where = " (" + strings.Join(cfg.Broker.Brokers, ", ") + ")"
	case "memory":
		where = " (lost when the process ends)"
	}
	fmt.Fprintf(&b, "POST http://%s/v1/events\n", cfg.HTTP.Addr)
	if len(cfg.HTTP.Keys) == 0 {
		fmt.Fprintf(&b, "  no authentication: everyone who reaches the address may send\n")
	}
	fmt.Fprintf(&b, "broker %s%s, %s, ordering by %s\n", cfg.Broker.Kind, where, plural.Count(cfg.Broker.Partitions, "partition"), cfg.Ordering)
	topic := func(name string) string { return topicName(cfg, name) }
	fmt.Fprintf(&b, "topic %s\n", topic(record.EventsTopic))
	for _, d := range cfg.Destinations {
		types := "every type"
		if len(d.Types) > 0 {
			types = strings.Join(d.Types, ", ")
		}
		fmt.Fprintf(&b, "  -> destination %s (%s): %s\n", d.ID, d.Kind, types)
		for _, e := range [][2]string{{"filter", d.Filter}, {"transform", d.Transform}} {
			if e[1] != "" {
				fmt.Fprintf(&b, "     %s: %s\n", e[0], e[1])
			}
		}
		fmt.Fprintf(&b, "     group %s -> topic %s -> group %s, at most %d attempts at once, %s each\n",
			groupName(cfg, record.TransformGroup(d.ID)), topic(record.DestinationTopic(d.ID)), groupName(cfg, record.DeliverGroup(d.ID)), d.Concurrency, d.Timeout)
		fmt.Fprintf(&b, "     retry %s to %s, %d attempts or %s, then topic %s\n",
			d.Retry.Initial, d.Retry.Max, d.Retry.Attempts, d.Retry.MaxAge, topic(record.PoisonTopic(d.ID)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

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
