package router

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"eventserver/destinations"
	"eventserver/infra"
	"eventserver/metrics"
	"eventserver/router/attempt"
	"eventserver/router/record"
	"eventserver/router/redact"
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

// only leaves out of the events what the destination's types do: nobody is asked then.
func (d *Destination) only(m *metrics.Destination) infra.Only {
	if len(d.Types) == 0 {
		return infra.Only{}
	}
	return infra.Only{
		Header: record.HeaderType, Match: func(typ string) bool { return MatchTypes(d.Types, typ) }, Mark: record.HeaderID,
		Skipped: func(n int) { m.FinishedMany(metrics.Skipped, n) },
	}
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
			return none, attempt.GiveUpNow(metrics.ReasonFilter, err)
		}
		if !ok {
			return none, destinations.ErrSkip
		}
	}
	if d.Transform != nil {
		data, err := d.Transform.Apply(ctx, e)
		if err != nil {
			return none, attempt.GiveUpNow(metrics.ReasonTransform, err)
		}
		e.Data, e.ContentType = data, "application/json"
	}
	p, err := d.Destination.Transform(ctx, e)
	if errors.Is(err, destinations.ErrSkip) {
		return p, err
	}
	if err != nil {
		return none, attempt.GiveUpNow(metrics.ReasonTransform, fmt.Errorf("transform: %w", err))
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
		p.Headers[headerSchemaWarning] = redact.Clean(warning)
	}
	return p, nil
}

// broken gives up an event that breaks a schema.
func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return attempt.GiveUpNow(metrics.ReasonSchema, err)
}

// Wants tells whether the destination, as it is configured now, wants an event.
// unwanted says what keeps it away; an error, why it would be poisoned. Schemas are
// not asked.
func (d *Destination) Wants(ctx context.Context, e destinations.Event) (unwanted string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = attempt.GiveUpNow(metrics.ReasonTransform, middleware.RecoveredPanicError{V: p})
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
