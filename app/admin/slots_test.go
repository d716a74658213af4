package admin

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// full is a server all of whose slots are taken by requests that end with release.
func full(t *testing.T) (s *Server, release func()) {
	t.Helper()
	waiting := make(chan context.Context, maxRequests)
	s, err := New(Config{Addr: "127.0.0.1:0", more: testOperations(waiting)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var taken sync.WaitGroup
	for range maxRequests {
		taken.Go(func() { get(ctx, s, "/v1/wait") })
	}
	for range maxRequests {
		<-waiting
	}
	release = func() {
		cancel()
		taken.Wait()
	}
	t.Cleanup(release)
	return s, release
}

func get(ctx context.Context, s *Server, path string) *httptest.ResponseRecorder {
	r, w := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1"+path, nil), httptest.NewRecorder()
	s.server.Handler.ServeHTTP(w, r)
	return w
}

// An operator who came while a crowd was being answered was refused at once, with
// 429, though each of those answers was soon made.
func TestRequestsWaitForASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, release := full(t)
		answered := make(chan *httptest.ResponseRecorder, maxConns-maxRequests)
		for range cap(answered) {
			go func() { answered <- get(t.Context(), s, "/v1/build") }()
		}
		synctest.Wait()
		if n := len(answered); n != 0 {
			t.Errorf("%d were answered while all slots were taken", n)
		}
		release()
		for range cap(answered) {
			if w := <-answered; w.Code != http.StatusOK {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		}
	})
}

// Long looks at topics may hold all slots for minutes.
func TestTooManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := full(t)
		start := time.Now()
		w := get(t.Context(), s, "/v1/build")
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "ask again") {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
		if took := time.Since(start); took != slotTimeout {
			t.Errorf("refused after %s", took)
		}
	})
}

func TestClientsThatGoLeaveTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := full(t)
		ctx, cancel := context.WithCancel(t.Context())
		start, left := time.Now(), make(chan struct{})
		go func() {
			defer close(left)
			get(ctx, s, "/v1/build")
		}()
		synctest.Wait()
		cancel()
		<-left
		if waited := time.Since(start); waited != 0 {
			t.Errorf("left after %s", waited)
		}
	})
}
