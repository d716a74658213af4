package router

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

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

// MatchTypes reports whether typ is one of the patterns: exact, "prefix.*" or
// "*". No pattern is every type.
func MatchTypes(patterns []string, typ string) bool {
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
// An error while ctx has ended says nothing of data.
type Check func(ctx context.Context, typ string, data []byte) (warning string, err error)

// headerSchemaWarning goes with a payload that broke a schema and passed.
const headerSchemaWarning = "Event-Schema-Warning"

// Prepare runs the destination's types, filter and transforms on e. It returns
// destinations.ErrSkip when the destination does not want the event.
func (d *Destination) Prepare(ctx context.Context, e destinations.Event) (destinations.Payload, error) {
	none := destinations.Payload{}
	if !MatchTypes(d.Types, e.Type) {
		return none, destinations.ErrSkip
	}
	warning := ""
	if d.Input != nil {
		var err error
		if warning, err = d.Input(ctx, e.Type, e.Data); err != nil {
			return none, broken(ctx, err)
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
		also, err := d.Output(ctx, d.OutputType, p.Body)
		if err != nil {
			return none, broken(ctx, fmt.Errorf("payload: %w", err))
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

// broken gives up an event that breaks a schema.
func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return giveUpNow(metrics.ReasonSchema, err)
}

// Wants tells whether the destination, as it is configured now, wants an event.
// unwanted says what keeps it away; an error, why it would be poisoned. Schemas are
// not asked.
func (d *Destination) Wants(ctx context.Context, e destinations.Event) (unwanted string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = giveUpNow(metrics.ReasonTransform, middleware.RecoveredPanicError{V: p})
		}
	}()
	q := *d
	q.Input, q.Output = nil, nil // they count what breaks a schema
	if _, err = q.Prepare(ctx, e); !errors.Is(err, destinations.ErrSkip) {
		return "", err
	}
	if !MatchTypes(d.Types, e.Type) {
		return fmt.Sprintf("its types (%s) have no %q", strings.Join(d.Types, ", "), e.Type), nil
	}
	if d.Filter != nil {
		if ok, err := d.Filter.Match(ctx, e); err == nil && !ok {
			return "its filter is false", nil
		}
	}
	return "its own transformation skips it", nil
}

// transformer moves events from the events topic to the destination's. It has
// groups of them, so that many are stored in one publish.
type transformer struct {
	dest    *Destination
	pub     message.Publisher
	limit   int // bytes of a payload with its headers; 0: none
	poison  *poisonQueue
	metrics *metrics.Destination
	spans   *spans
}

func (t *transformer) handle(msg *message.Message) error {
	if g := groupOf(msg); g != nil {
		return t.group(msg.Context(), g)
	}
	ctx := msg.Context()
	var rec *message.Message
	var err error
	if a, ok := cameApart(ctx); ok && a.made != nil { // by its group
		rec, err = a.made.rec, a.made.err
	} else {
		rec, err = t.transform(ctx, msg)
	}
	var given *giveUp
	switch {
	case ctx.Err() != nil:
		return ctx.Err() // whatever it said: the claim is over, the next owner does it again
	case errors.Is(err, destinations.ErrSkip):
		t.metrics.Finished(metrics.Skipped)
		return nil
	case errors.As(err, &given):
		return t.poison.keep(ctx, msg, given)
	case err != nil:
		return err
	}
	err = t.spans.publish(t.pub, t.topic(), []*message.Message{rec})
	if errors.Is(err, infra.ErrTooLarge) {
		return t.poison.keep(ctx, msg, t.spans.of(rec, giveUpNow(metrics.ReasonTransform, fmt.Errorf("transform: its result does not fit: %w", err))))
	}
	return err // the broker: it is tried again in place
}

func (t *transformer) topic() string { return DestinationTopic(t.dest.Destination.ID()) }

// groupBudget is how long the transformations of a group may take together. A
// user whose event takes longer must not hold up the others of its group.
const groupBudget = 50 * time.Millisecond

// group stores in one publish what it can. What fails, or takes too long, comes
// apart and is handled alone, where it holds up nobody else.
func (t *transformer) group(ctx context.Context, g *group) error {
	results := t.transformAll(ctx, g)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var records []*message.Message
	of := map[*message.Message]*member{}
	skipped := 0
	for i := range g.members {
		m := &g.members[i]
		if i >= len(results) {
			m.apart = true
			continue
		}
		m.cause = apart{made: &results[i]}
		switch err := results[i].err; {
		case err == nil:
			records = append(records, results[i].rec)
			of[results[i].rec] = m
		case errors.Is(err, destinations.ErrSkip):
			skipped++
		default:
			m.apart = true
		}
	}
	if len(records) > 0 {
		err := t.spans.publish(t.pub, t.topic(), records)
		var some *infra.PublishError
		switch {
		case err == nil:
		case errors.As(err, &some):
			for _, rec := range some.Failed {
				of[rec].apart = true
			}
		case errors.Is(err, infra.ErrTooLarge): // nothing was sent
			for _, m := range of {
				m.apart = true
			}
		default:
			return err // the broker took none: they are tried again in place
		}
	}
	t.metrics.FinishedMany(metrics.Skipped, skipped)
	return nil
}

// made is what a transformation came to.
type made struct {
	rec *message.Message
	err error
}

// transformAll transforms the members in order, as far as it comes within
// groupBudget.
func (t *transformer) transformAll(ctx context.Context, g *group) []made {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // tells one that is left behind
	msgs := make([]*message.Message, len(g.members))
	for i, m := range g.members {
		msgs[i] = m.msg
	}
	each := make(chan made, len(msgs)) // with room for all, so that nobody waits for us
	go func() {
		for _, m := range msgs {
			if ctx.Err() != nil {
				return
			}
			rec, err := t.transform(ctx, m)
			each <- made{rec, err}
		}
	}()
	out := make([]made, 0, len(msgs))
	budget := time.NewTimer(groupBudget)
	defer budget.Stop()
	for range msgs {
		select {
		case m := <-each:
			out = append(out, m)
		case <-budget.C:
			return out
		case <-ctx.Done():
			return out
		}
	}
	return out
}

// transform makes the record of one event, and a span of it where they are wanted.
func (t *transformer) transform(ctx context.Context, msg *message.Message) (*message.Message, error) {
	if t.spans == nil {
		return t.make(ctx, msg)
	}
	return t.spans.transform(ctx, msg, t.make)
}

// make makes the record of one event.
func (t *transformer) make(ctx context.Context, msg *message.Message) (*message.Message, error) {
	return t.dest.record(ctx, msg, infra.Offset(msg), t.limit)
}

func payloadSize(p destinations.Payload) int {
	size := len(p.Body) + len(p.ContentType)
	for k, v := range p.Headers {
		size += len(k) + len(v)
	}
	return size
}
