package byhand

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// store keeps events. append returns when they are durable, and gives each its id.
type store interface {
	append(ctx context.Context, events []*event) error
}

const maxBody = 16 << 20

// ingest is the HTTP API.
type ingest struct {
	store store
	ready atomic.Bool
}

func (f *ingest) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/events", f.post)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !f.ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	return mux
}

func (f *ingest) post(w http.ResponseWriter, r *http.Request) {
	body, err := read(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	events, err := decode(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := f.store.append(r.Context(), events); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.id
	}
	answer, err := json.Marshal(map[string][]string{"ids": ids})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write(answer) // the client has gone
}

func read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength < 0 || r.ContentLength > maxBody {
		return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	return body, err
}

var errNoUser = errors.New(`give an event, or an array of events, with "userId"`)

// decode reads one event, or an array of them.
func decode(body []byte) ([]*event, error) {
	bodies := []json.RawMessage{body}
	if len(body) > 0 && body[0] == '[' {
		if err := json.Unmarshal(body, &bodies); err != nil {
			return nil, err
		}
	}
	events := make([]*event, len(bodies))
	for i, b := range bodies {
		var head struct {
			UserID string `json:"userId"`
		}
		if err := json.Unmarshal(b, &head); err != nil {
			return nil, err
		}
		if head.UserID == "" {
			return nil, errNoUser
		}
		events[i] = &event{user: head.UserID, body: b}
	}
	if len(events) == 0 {
		return nil, errNoUser
	}
	return events, nil
}
