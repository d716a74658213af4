package http

import (
	"net/http"

	"eventserver/app/schema"
	"eventserver/destinations"
	"eventserver/metrics"
)

// Contract judges events by the schemas of their types. It is called from many
// goroutines, once for each event. *schema.Policy is one.
type Contract interface {
	// Check returns what is wrong with an event, or nil, and whether that
	// refuses it.
	Check(typ string, data []byte) (v *schema.Violation, refused bool)
	// Key is the event's ordering key: where its schema says, or else given;
	// "" when there is none.
	Key(typ string, data []byte, given string) (key string, v *schema.Violation, refused bool)
}

// judge refuses an event that breaks its schema, and takes its ordering key from
// where the schema says. keyed: the client gave one.
func (s *Server) judge(e *destinations.Event, keyed bool) *Problem {
	if s.cfg.Contract == nil {
		return nil
	}
	if v, refused := s.cfg.Contract.Check(e.Type, e.Data); refused {
		return violated(v)
	}
	given := ""
	if keyed {
		given = e.Key
	}
	key, v, refused := s.cfg.Contract.Key(e.Type, e.Data, given)
	if refused {
		return violated(v)
	}
	if key != "" {
		e.Key = key
	}
	return nil
}

// Ingest settles an event as the front does, for whoever stores events without
// it: its ordering key, and whether its schema refuses it (a *schema.Violation).
func Ingest(c Contract, e *destinations.Event, keyed bool) error {
	s := &Server{cfg: Config{Contract: c}}
	if p := s.judge(e, keyed); p != nil {
		return p.violation
	}
	if e.Key == "" {
		e.Key = e.ID
	}
	return nil
}

func violated(v *schema.Violation) *Problem {
	p := problem(http.StatusUnprocessableEntity, metrics.RejectSchema, v.Error())
	p.EventType, p.Pointer, p.Rule, p.violation = v.Type, &v.Pointer, v.Rule, v
	return p
}
