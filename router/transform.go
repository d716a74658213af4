package router

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"

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

// Prepare runs the destination's types, filter and transforms on e. It returns
// destinations.ErrSkip when the destination does not want the event. The dry
// run of the command line calls it too, so that it cannot differ.
func (d *Destination) Prepare(ctx context.Context, e destinations.Event) (destinations.Payload, error) {
	none := destinations.Payload{}
	if !matchTypes(d.Types, e.Type) {
		return none, destinations.ErrSkip
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
	if err != nil && !errors.Is(err, destinations.ErrSkip) {
		return none, giveUpNow(metrics.ReasonTransform, fmt.Errorf("transform: %w", err))
	}
	return p, err
}

// transformer moves an event from the events topic to the destination's.
type transformer struct {
	dest    *Destination
	pub     message.Publisher
	limit   int // bytes of a payload with its headers; 0: none
	metrics *metrics.Destination
}

func (t *transformer) handle(msg *message.Message) error {
	ctx := msg.Context()
	e, err := DecodeEvent(msg)
	if err != nil {
		return giveUpNow(metrics.ReasonUndecodable, err)
	}
	p, err := t.dest.Prepare(ctx, e)
	if ctx.Err() != nil {
		return ctx.Err() // whatever it said: the claim is over, the next owner does it again
	}
	if errors.Is(err, destinations.ErrSkip) {
		t.metrics.Finished(metrics.Skipped)
		return nil
	}
	if err != nil {
		return err
	}
	if size := payloadSize(p); t.limit > 0 && size > t.limit {
		return giveUpNow(metrics.ReasonTransform, fmt.Errorf("transform: its result has %d bytes, at most %d are allowed", size, t.limit))
	}
	err = t.pub.Publish(DestinationTopic(t.dest.Destination.ID()), encodeDelivery(e, p, infra.Offset(msg)))
	if errors.Is(err, infra.ErrTooLarge) {
		return giveUpNow(metrics.ReasonTransform, fmt.Errorf("transform: its result does not fit: %w", err))
	}
	return err // the broker: it is tried again in place
}

func payloadSize(p destinations.Payload) int {
	size := len(p.Body) + len(p.ContentType)
	for k, v := range p.Headers {
		size += len(k) + len(v)
	}
	return size
}

// panicPoisons turns a panic in user code into a transformation that failed.
// The caller is Watermill's Recoverer, further in.
func panicPoisons(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		out, err := next(msg)
		if class(context.Background(), err) == metrics.ClassPanic {
			return nil, giveUpNow(metrics.ReasonTransform, err)
		}
		return out, err
	}
}
