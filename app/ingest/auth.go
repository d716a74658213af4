package ingest

import (
	"net/http"
	"time"

	"eventserver/app/access"
	"eventserver/metrics"
)

// authorize accepts "Bearer KEY", and Basic with the key as user or password, and
// returns the client whose key it is. Without configured keys everyone may post.
func (s *Server) authorize(r *http.Request) (client string, p *Problem) {
	if len(s.cfg.Keys) == 0 {
		return "", nil
	}
	if i := s.known(r, s.cfg.Keys); i >= 0 {
		return s.cfg.Keys[i].Name, nil
	}
	p = problem(http.StatusUnauthorized, metrics.RejectAuth, "send an API key that is configured, as 'Authorization: Bearer KEY' or with Basic authentication")
	p.challenge = true
	return "", p
}

// Wrong secrets are answered late, so that guessing takes time. A few may wait
// at once, and hold no more than their connections; the others are answered at
// once, and must connect again. A right secret is looked at first and never waits.
const (
	wrongDelay = time.Second
	wrongMost  = 64
)

// known is the index of the key that the request has; -1: none. For a wrong one
// it takes its time.
func (s *Server) known(r *http.Request, keys []access.Key) int {
	secrets := access.Secrets(r)
	i := access.Find(keys, secrets...)
	if i >= 0 || len(secrets) == 0 {
		return i
	}
	s.cfg.Metrics.WrongKeys.Inc()
	if !take(s.wrong) {
		return i
	}
	defer func() { <-s.wrong }()
	wait := time.NewTimer(wrongDelay)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-r.Context().Done():
	case <-s.stopped:
	}
	return i
}
