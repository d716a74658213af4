package router

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
)

// Filter decides whether a destination wants an event.
type Filter interface {
	Match(ctx context.Context, e destinations.Event) (bool, error)
}

// Transform makes an event's new data, in JSON, before the destination's own
// Transform sees it.
type Transform interface {
	Apply(ctx context.Context, e destinations.Event) ([]byte, error)
}

// matchTypes reports whether typ is one of the patterns: exact, "prefix.*" or
// "*". No pattern is every type.
func matchTypes(patterns []string, typ string) bool {
	if len(patterns) == 0 {
		return true
	}
	for _, p := range patterns {
		if prefix, ok := strings.CutSuffix(p, "*"); ok && strings.HasPrefix(typ, prefix) || p == typ {
			return true
		}
	}
	return false
}

// Check judges data as an event of type typ, by the schema of that type. The
// warning is what is wrong with data that passes all the same; an error is what
// it does not pass for.
type Check func(typ string, data []byte) (warning string, err error)

// headerSchemaWarning goes with a payload that broke a schema and passed.
const headerSchemaWarning = "Event-Schema-Warning"

// Prepare runs the destination's types, filter and transforms on e. It returns
// destinations.ErrSkip when the destination does not want the event. The dry
// run of the command line calls it too, so that it cannot differ.
func (d *Destination) Prepare(ctx context.Context, e destinations.Event) (destinations.Payload, error) {
	none := destinations.Payload{}
	if !matchTypes(d.Types, e.Type) {
		return none, destinations.ErrSkip
	}
	warning := ""
	if d.Input != nil {
		var err error
		if warning, err = d.Input(e.Type, e.Data); err != nil {
			return none, giveUpNow(metrics.ReasonSchema, err)
		}
	}
	if d.Filter != nil {
		ok, err := d.Filter.Match(ctx, e)
		if err != nil {
			return none, giveUpNow(metrics.ReasonFilter, err)
		}
		if !ok {
			return none, destinations.ErrSkip
		}
	}
	if d.Transform != nil {
		data, err := d.Transform.Apply(ctx, e)
		if err != nil {
			return none, giveUpNow(metrics.ReasonTransform, err)
		}
		e.Data, e.ContentType = data, "application/json"
	}
	p, err := d.Destination.Transform(ctx, e)
	if errors.Is(err, destinations.ErrSkip) {
		return p, err
	}
	if err != nil {
		return none, giveUpNow(metrics.ReasonTransform, fmt.Errorf("transform: %w", err))
	}
	if d.Output != nil {
		also, err := d.Output(d.OutputType, p.Body)
		if err != nil {
			return none, giveUpNow(metrics.ReasonSchema, fmt.Errorf("payload: %w", err))
		}
		if warning == "" {
			warning = also
		}
	}
	if warning != "" {
		p.Headers = maps.Clone(p.Headers)
		if p.Headers == nil {
			p.Headers = map[string]string{}
		}
		p.Headers[headerSchemaWarning] = clean(warning)
	}
	return p, nil
}

// transformer moves events from the events topic to the destination's. It has
// groups of them, so that many are stored in one publish.
type transformer struct {
	dest    *Destination
	pub     message.Publisher
	limit   int // bytes of a payload with its headers; 0: none
	poison  *poisonQueue
	metrics *metrics.Destination
}

func (t *transformer) handle(msg *message.Message) error {
	ctx := msg.Context()
	var records []*message.Message
	var from []*message.Message // what each was made of
	failed := map[*message.Message]*giveUp{}
	one := func(m *message.Message) error {
		rec, err := t.transform(ctx, m)
		var g *giveUp
		switch {
		case ctx.Err() != nil:
			return ctx.Err() // whatever it said: the claim is over, the next owner does it again
		case errors.Is(err, destinations.ErrSkip):
			t.metrics.Finished(metrics.Skipped)
		case errors.As(err, &g):
			failed[m] = g
		case err != nil:
			return err
		default:
			records, from = append(records, rec), append(from, m)
		}
		return nil
	}
	if g := groupOf(msg); g != nil {
		for _, m := range g.members {
			if err := one(m.msg); err != nil {
				return err
			}
		}
	} else if err := one(msg); err != nil {
		return err
	}
	if err := t.publish(records, from, failed); err != nil {
		return err // the broker: it is tried again in place
	}
	for m, g := range failed {
		if err := t.poison.keep(ctx, m, g); err != nil {
			return err
		}
	}
	return nil
}

// publish stores records. One that the broker finds too large fails alone.
func (t *transformer) publish(records, from []*message.Message, failed map[*message.Message]*giveUp) error {
	if len(records) == 0 {
		return nil
	}
	topic := DestinationTopic(t.dest.Destination.ID())
	err := t.pub.Publish(topic, records...)
	if !errors.Is(err, infra.ErrTooLarge) {
		return err
	}
	if len(records) == 1 {
		failed[from[0]] = giveUpNow(metrics.ReasonTransform, fmt.Errorf("transform: its result does not fit: %w", err))
		return nil
	}
	for i := range records {
		if err := t.publish(records[i:i+1], from[i:i+1], failed); err != nil {
			return err
		}
	}
	return nil
}

// transform makes the record of one event. A panic in user code is a
// transformation that failed.
func (t *transformer) transform(ctx context.Context, msg *message.Message) (rec *message.Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = giveUpNow(metrics.ReasonTransform, middleware.RecoveredPanicError{V: p})
		}
	}()
	e, err := DecodeEvent(msg)
	if err != nil {
		return nil, giveUpNow(metrics.ReasonUndecodable, err)
	}
	p, err := t.dest.Prepare(ctx, e)
	if err != nil {
		return nil, err
	}
	if size := payloadSize(p); t.limit > 0 && size > t.limit {
		return nil, giveUpNow(metrics.ReasonTransform, fmt.Errorf("transform: its result has %d bytes, at most %d are allowed", size, t.limit))
	}
	return encodeDelivery(e, p, infra.Offset(msg)), nil
}

func payloadSize(p destinations.Payload) int {
	size := len(p.Body) + len(p.ContentType)
	for k, v := range p.Headers {
		size += len(k) + len(v)
	}
	return size
}
