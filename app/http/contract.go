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

// Judge settles an event before it is stored: the violation that its schema
// refuses it for, or nil and the ordering key where the schema says. keyed: the
// client gave one. A nil Contract judges nothing.
func Judge(c Contract, e *destinations.Event, keyed bool) *schema.Violation {
	if c == nil {
		return nil
	}
	if v, refused := c.Check(e.Type, e.Data); refused {
		return v
	}
	given := ""
	if keyed {
		given = e.Key
	}
	key, v, refused := c.Key(e.Type, e.Data, given)
	if refused {
		return v
	}
	if key != "" {
		e.Key = key
	}
	return nil
}

// judge is Judge as an answer.
func (s *Server) judge(e *destinations.Event, keyed bool) *Problem {
	v := Judge(s.cfg.Contract, e, keyed)
	if v == nil {
		return nil
	}
	p := problem(http.StatusUnprocessableEntity, metrics.RejectSchema, v.Error())
	p.EventType, p.Pointer, p.Rule = v.Type, &v.Pointer, v.Rule
	return p
}
