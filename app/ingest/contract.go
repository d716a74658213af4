package ingest

import (
	"context"
	"net/http"

	"eventserver/app/schema"
	"eventserver/destinations"
	"eventserver/metrics"
)

// Contract judges events by the schemas of their types. It is called from many
// goroutines, once for each event. *schema.Policy is one.
type Contract interface {
	// Check returns what is wrong with an event, or nil, and whether that
	// refuses it. spent is what the events of one request cost together; nil: it
	// is alone. The error is that of ctx.
	Check(ctx context.Context, typ string, data []byte, spent *schema.Spent) (v *schema.Violation, refused bool, err error)
	// Key is the event's ordering key: where its schema says, or else given;
	// "" when there is none.
	Key(typ string, data []byte, given string) (key string, v *schema.Violation, refused bool)
}

// Judge settles an event before it is stored: the violation that its schema
// refuses it for, or nil and the ordering key where the schema says. keyed: the
// client gave one. A nil Contract judges nothing. The error is that of ctx.
func Judge(ctx context.Context, c Contract, e *destinations.Event, keyed bool, spent *schema.Spent) (*schema.Violation, error) {
	if c == nil {
		return nil, nil
	}
	if v, refused, err := c.Check(ctx, e.Type, e.Data, spent); refused || err != nil {
		return v, err
	}
	given := ""
	if keyed {
		given = e.Key
	}
	key, v, refused := c.Key(e.Type, e.Data, given)
	if refused {
		return v, nil
	}
	if key != "" {
		e.Key = key
	}
	return nil, nil
}

// judge is Judge as an answer.
func (s *Server) judge(ctx context.Context, e *destinations.Event, keyed bool, spent *schema.Spent) *Problem {
	v, err := Judge(ctx, s.cfg.Contract, e, keyed, spent)
	if err != nil { // the client is gone
		return problem(http.StatusServiceUnavailable, "", "the request ended before its events were checked; send them again")
	}
	if v == nil {
		return nil
	}
	status := http.StatusUnprocessableEntity
	if v.Rule == schema.RuleCost { // nothing is known of the event itself
		status = http.StatusBadRequest
	}
	p := problem(status, metrics.RejectSchema, v.Error())
	p.EventType, p.Pointer, p.Rule = v.Type, &v.Pointer, v.Rule
	return p
}
