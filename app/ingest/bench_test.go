package ingest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkPost is what a request with one event costs beside net/http and the
// broker: it is stored as soon as the pipeline has it.
func BenchmarkPost(b *testing.B) {
	s := limited(b, Config{})
	messages, err := s.Subscriber().Subscribe(b.Context(), PathEvents)
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		for m := range messages {
			m.Ack()
		}
	}()
	body := []byte(`{"id":"01KB2J6Z7Q8V9W0X1Y2Z3A4B5C","type":"order.placed","userId":"user-123","data":{"total":99.5,"note":"` + string(bytes.Repeat([]byte("x"), 100)) + `"}}`)
	handler := s.routes()
	b.ReportAllocs()
	r := httptest.NewRequest(http.MethodPost, PathEvents, nil)
	r.Host = "127.0.0.1:8080"
	r.Header.Set("Content-Type", "application/json")
	r.ContentLength = int64(len(body))
	w := &verdict{}
	for b.Loop() {
		r.Body = io.NopCloser(bytes.NewReader(body))
		*w = verdict{}
		if handler.ServeHTTP(w, r); w.status != http.StatusAccepted {
			b.Fatal(w.status)
		}
	}
}
