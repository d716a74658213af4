package ingest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"eventserver/metrics"
)

// Problem is an RFC 9457 problem document.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Field names the faulty member of the event, Index its place in a batch.
	Field string `json:"field,omitempty"`
	Index *int   `json:"index,omitempty"`
	// EventType, Pointer and Rule tell which schema refused the event, the
	// value in it (a JSON pointer) and the keyword that it breaks.
	EventType string  `json:"event_type,omitempty"`
	Pointer   *string `json:"pointer,omitempty"`
	Rule      string  `json:"rule,omitempty"`

	reason     string // metrics.Reject...
	retryAfter time.Duration
	challenge  bool
	unread     bool // the body was not read to its end
	allow      string
}

func problem(status int, reason, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, reason: reason}
}

func busy(status int, detail string, wait time.Duration) *Problem {
	reason := metrics.RejectUnavailable
	if status == http.StatusTooManyRequests {
		reason = metrics.RejectBusy
	}
	p := problem(status, reason, detail)
	p.retryAfter = wait
	return p
}

func (s *Server) refuse(w http.ResponseWriter, p *Problem) {
	if p.reason != "" {
		s.cfg.Metrics.Rejected.WithLabelValues(p.reason).Inc()
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.retryAfter+time.Second-1)/time.Second)))
	}
	if p.challenge {
		h.Set("WWW-Authenticate", `Bearer realm="eventserver", Basic realm="eventserver"`)
	}
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	if p.unread {
		h.Set("Connection", "close") // or the rest of the body is waited for before the answer
	}
	w.WriteHeader(p.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // a person reads it
	_ = enc.Encode(p)        // the client is gone when this fails
}

// answer is a success, made but not written.
type answer struct {
	status int
	body   []byte // JSON
}

func jsonAnswer(status int, v any) answer {
	body, err := json.Marshal(v)
	if err != nil { // of strings: it cannot be
		return answer{status: http.StatusInternalServerError, body: []byte("\n")}
	}
	return answer{status: status, body: append(body, '\n')}
}

func (a answer) write(w http.ResponseWriter) {
	values := []string{"application/json", strconv.Itoa(len(a.body))} // one array for both
	h := w.Header()
	h["Content-Type"] = values[:1:1]
	h["Content-Length"] = values[1:] // or a long answer is sent in chunks
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client is gone when this fails
}
