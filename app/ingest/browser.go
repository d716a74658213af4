package ingest

import (
	"net/http"

	"eventserver/app/access"
	"eventserver/metrics"
)

// What asks for no secret is protected by its address alone, and a web page can
// reach that through a browser of this machine. Where only this machine can
// reach the listener, a request must therefore name it in Host by a name that
// nobody on the internet can own. Elsewhere any name may be the server's.
func (s *Server) hosts(secret bool, local *bool, next http.Handler) http.Handler {
	if secret {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if *local && !access.PrivateHost(r.Host) {
			s.refuse(w, problem(http.StatusForbidden, metrics.RejectOrigin,
				"this server listens for its own machine and asks for no key, and a web page may have sent this: write 127.0.0.1, [::1] or localhost as Host (a proxy in front too), or configure http.keys (metrics.tokens for the metrics)"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// page holds off what a page can post when no keys are configured. A client that
// is no browser has none of the headers that are looked at.
func (s *Server) page(r *http.Request) *Problem {
	switch {
	case len(s.cfg.Keys) > 0 || !access.FromPage(r):
		return nil
	case access.ForeignPage(r):
		return problem(http.StatusForbidden, metrics.RejectOrigin,
			"a web page of another origin sent this; without http.keys the server takes events from programs, and from pages of its own origin, over https or by an address")
	case r.Header.Get("Content-Type") == "":
		return problem(http.StatusUnsupportedMediaType, metrics.RejectMediaType,
			"a web page sent this without a Content-Type; send Content-Type: application/json")
	}
	return nil
}
