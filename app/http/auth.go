package http

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"eventserver/metrics"
)

// Key is one client's API key, known by its SHA-256 only. A second digest is
// the next key during a rotation.
type Key struct {
	Name   string
	SHA256 [][sha256.Size]byte
}

// authorize accepts "Bearer KEY", and Basic with the key as user or password.
// Without configured keys everyone may post.
func (s *Server) authorize(r *http.Request) *Problem {
	if len(s.cfg.Keys) == 0 {
		return nil
	}
	var offered []string
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "bearer") {
		offered = append(offered, strings.TrimSpace(token))
	}
	if user, password, ok := r.BasicAuth(); ok {
		offered = append(offered, user, password)
	}
	match := 0
	for _, o := range offered {
		if o == "" {
			continue
		}
		sum := sha256.Sum256([]byte(o))
		for _, k := range s.cfg.Keys { // every digest is compared: the time tells nothing
			for _, want := range k.SHA256 {
				match |= subtle.ConstantTimeCompare(sum[:], want[:])
			}
		}
	}
	if match == 1 {
		return nil
	}
	p := problem(http.StatusUnauthorized, metrics.RejectAuth, "send an API key that is configured, as 'Authorization: Bearer KEY' or with Basic authentication")
	p.challenge = true
	return p
}
