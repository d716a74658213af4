package admin

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"eventserver/router/explain"
)

// Explaining tells where events are and why.
type Explaining interface {
	// Explain is asked by any number of requests at once. Its error wraps
	// explain.ErrNotFound or explain.ErrBadQuestion where it is one of these.
	Explain(ctx context.Context, q explain.Question) (*explain.Explanation, error)
}

type explainInput struct {
	ID          string    `path:"id" maxLength:"1024" doc:"The event's id, as in the answer to its request"`
	Key         string    `query:"key" maxLength:"1024" doc:"Its ordering key (the user). With it one partition is read"`
	Since       time.Time `query:"since" doc:"It was accepted at this time or later, such as 2026-07-01T12:00:00Z"`
	Destination string    `query:"destination" maxLength:"128" doc:"Only this destination"`
}

type explainOutput struct{ Body *explain.Explanation }

func (s *Server) explainOperations(api huma.API) {
	op := reading("explain-event", "/v1/events/{id}", "Where an event is, what it waits for and what became of it, for each destination")
	op.Errors = append(op.Errors, 404)
	register(api, op, func(ctx context.Context, in *explainInput) (*explainOutput, error) {
		if s.cfg.Explaining == nil {
			return nil, absent("events")
		}
		out, err := s.cfg.Explaining.Explain(ctx, explain.Question{ID: in.ID, Key: in.Key, Since: in.Since, Destination: in.Destination})
		if err != nil {
			return nil, err
		}
		return &explainOutput{out}, nil
	})
}
