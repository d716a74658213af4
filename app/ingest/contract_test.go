package ingest

import (
	"context"
	"net/http"
	"testing"

	"eventserver/app/schema"
	"eventserver/destinations"
)

// verdictOf is a contract that says one thing.
type verdictOf struct{ v *schema.Violation }

func (c verdictOf) Check(ctx context.Context, _ string, _ []byte, _ *schema.Spent) (*schema.Violation, bool, error) {
	return c.v, c.v != nil, ctx.Err()
}
func (verdictOf) Key(_ string, _ []byte, given string) (string, *schema.Violation, bool) {
	return given, nil, false
}

// What is not known to be wrong is no 422, and the check of a client that is gone is
// neither accepted nor counted.
func TestJudge(t *testing.T) {
	t.Parallel()
	gone, leave := context.WithCancel(t.Context())
	leave()
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		v      *schema.Violation
		status int
		reason string
	}{
		{"good", t.Context(), nil, 0, ""},
		{"broken", t.Context(), &schema.Violation{Type: "x", Version: 1, Rule: "type"}, http.StatusUnprocessableEntity, "schema"},
		{"costs too much", t.Context(), &schema.Violation{Type: "x", Version: 1, Rule: schema.RuleCost}, http.StatusBadRequest, "schema"},
		{"gone", gone, nil, http.StatusServiceUnavailable, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &Server{cfg: Config{Contract: verdictOf{tt.v}}}
			p := s.judge(tt.ctx, &destinations.Event{Type: "x"}, true, nil)
			if p == nil {
				p = &Problem{}
			}
			if p.Status != tt.status || p.reason != tt.reason {
				t.Errorf("%d %q, want %d %q", p.Status, p.reason, tt.status, tt.reason)
			}
		})
	}
}
