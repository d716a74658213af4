package http

import (
	"net/http"

	"eventserver/app/access"
	"eventserver/metrics"
)

// authorize accepts "Bearer KEY", and Basic with the key as user or password.
// Without configured keys everyone may post.
func (s *Server) authorize(r *http.Request) *Problem {
	if len(s.cfg.Keys) == 0 || access.Find(s.cfg.Keys, access.Secrets(r)...) >= 0 {
		return nil
	}
	p := problem(http.StatusUnauthorized, metrics.RejectAuth, "send an API key that is configured, as 'Authorization: Bearer KEY' or with Basic authentication")
	p.challenge = true
	return p
}
