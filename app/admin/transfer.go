package admin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// Bounds of what clients send and take. A request takes one of maxRequests only
// while its answer is made: a client that sends or reads slowly keeps none from
// the others.
const (
	maxBody      = 1 << 20
	maxConns     = 256              // connections, of which those that wait for their client make room
	maxWaited    = 64               // clients that a body is read from, and as many that an answer is written to
	readTimeout  = 10 * time.Second // for a body
	writeTimeout = 30 * time.Second // for an answer that is made
)

// receive reads the body before the request takes a slot.
func (s *Server) receive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			w.Header().Set("Connection", "close") // then nobody waits for a body that means nothing
			r.Body, r.ContentLength = http.NoBody, 0
			next.ServeHTTP(w, r)
			return
		}
		body, err := s.body(w, r)
		if err != nil {
			status, detail := http.StatusBadRequest, "the body broke off"
			switch {
			case errors.As(err, new(*http.MaxBytesError)):
				status, detail = http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is too large: send at most %d bytes", maxBody)
			case errors.Is(err, os.ErrDeadlineExceeded):
				status, detail = http.StatusRequestTimeout, fmt.Sprintf("the body did not come in time: send it within %s, and without a pause while many others send", readTimeout)
			}
			w.Header().Set("Connection", "close")
			problem(w, status, detail)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		next.ServeHTTP(w, r)
	})
}

func (s *Server) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, &http.MaxBytesError{Limit: maxBody}
	}
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(readTimeout)) // the server's own is the longer one
	leave := s.senders.enter(func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	leave()
	if err == nil {
		_ = conn.SetReadDeadline(time.Time{}) // the answer may take longer
	}
	return body, err
}

// answer keeps what an operation writes until its slot is free again.
type answer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
	stream *stream // nil: the body is all
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// send writes the answer to the client.
func (s *Server) send(a *answer) {
	w := a.ResponseWriter
	conn := http.NewResponseController(w)
	_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	defer s.readers.enter(func() { _ = conn.SetWriteDeadline(time.Unix(1, 0)) })()
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = w.Write(a.body.Bytes()) // the client is gone when this fails
	_ = conn.Flush()               // here, where the client can be cut off
}
