package router

import (
	"context"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/plural"
	"eventserver/router/record"
	"eventserver/router/redact"
)

// Again transforms what the transform stage gave up, with the destination as it
// is configured now, and makes the record for DestinationTopic. The error is
// destinations.ErrSkip when the destination does not want it; any other is why
// it fails again. limit is in bytes, 0 for none.
func (d *Destination) Again(ctx context.Context, poison *message.Message, r record.Redrive, limit int) (*message.Message, error) {
	rec, err := d.record(ctx, poison, record.Sequence(poison), limit)
	if err != nil {
		return nil, err
	}
	r.Sign(rec, poison)
	return rec, nil
}

// Again is Destination.Again with the destination that runs now.
func (p *Pipeline) Again(ctx context.Context, id string, poison *message.Message, r record.Redrive) (*message.Message, error) {
	running := p.find(id)
	if running == nil {
		return nil, fmt.Errorf("there is no destination %q any more", id)
	}
	return running.dest.Again(ctx, poison, r, p.cfg.MaxPayloadBytes)
}

// Rehearse gives what the destination would be sent of an accepted event, by the
// way of the server: as a record of the events topic, and within the same limit.
func (d *Destination) Rehearse(ctx context.Context, e destinations.Event, limit int) (destinations.Payload, error) {
	rec, err := d.record(ctx, record.EncodeEvent(e), 0, limit)
	if err != nil {
		return destinations.Payload{}, err
	}
	sent, err := record.DecodeDelivery(d.Destination.ID(), rec)
	return sent.Payload, err
}

// accepted is an event as all destinations are given it.
type accepted struct {
	event destinations.Event
	err   error
}

func decoded(msg *message.Message) any {
	e, err := record.DecodeEvent(msg)
	return &accepted{e, err}
}

// record transforms one event. A panic in user code is a transformation that
// failed.
func (d *Destination) record(ctx context.Context, msg *message.Message, sequence int64, limit int) (rec *message.Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = attempt.GiveUpNow(metrics.ReasonTransform, middleware.RecoveredPanicError{V: p})
		}
	}()
	read := infra.Derived(msg, decoded).(*accepted)
	if read.err != nil {
		return nil, attempt.GiveUpNow(metrics.ReasonUndecodable, read.err)
	}
	e := read.event
	p, err := d.Prepare(ctx, e)
	if err != nil {
		return nil, err
	}
	if size := payloadSize(p); limit > 0 && size > limit {
		return nil, attempt.GiveUpNow(metrics.ReasonTransform, fmt.Errorf("transform: its result has %s, at most %s allowed", plural.Count(size, "byte"), plural.Count(limit, "byte is", "bytes are")))
	}
	return record.EncodeDelivery(e, p, sequence), nil
}

// Skipped reports whether an error of Again says that the destination does not
// want the event.
func Skipped(err error) bool { return errors.Is(err, destinations.ErrSkip) }

// Failure is the reason and the text of an error of Again, as a poison record
// would have them.
func Failure(err error, poison *message.Message) (reason, text string) {
	var g *attempt.GiveUp
	if errors.As(err, &g) {
		return g.Reason, redact.Detail(g.Err, poison.Payload)
	}
	return metrics.ReasonTransform, redact.Detail(err, poison.Payload)
}
