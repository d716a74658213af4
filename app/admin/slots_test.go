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

// full is a server all of whose slots are taken. release ends n of the requests
// that have them.
func full(t *testing.T) (s *Server, release func(n int)) {
	t.Helper()
	waiting := make(chan context.Context, 2*maxRequests)
	s, err := New(Config{Addr: "127.0.0.1:0", more: testOperations(waiting)})
	if err != nil {
		t.Fatal(err)
	}
	var taken sync.WaitGroup
	ends := make([]context.CancelFunc, maxRequests)
	for i := range ends {
		var ctx context.Context
		ctx, ends[i] = context.WithCancel(t.Context())
		taken.Go(func() { get(ctx, s, "/v1/wait") })
	}
	for range maxRequests {
		<-waiting
	}
	release = func(n int) {
		for _, end := range ends[:n] {
			end()
		}
		ends = ends[n:]
	}
	t.Cleanup(func() {
		release(len(ends))
		taken.Wait()
	})
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
		release(maxRequests)
		for range cap(answered) {
			if w := <-answered; w.Code != http.StatusOK {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		}
	})
}

// Who was refused while others had their turns came back as the last of the queue.
func TestTheQueueIsKeptWhileItMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, release := full(t)
		start, turns := time.Now(), 5
		for range turns - 1 { // they keep the slots that they get
			go get(t.Context(), s, "/v1/wait")
			synctest.Wait()
		}
		answered := make(chan *httptest.ResponseRecorder)
		go func() { answered <- get(t.Context(), s, "/v1/build") }()
		for range turns {
			<-time.NewTimer(slotTimeout - time.Second).C
			release(1)
		}
		if w := <-answered; w.Code != http.StatusOK || time.Since(start) != time.Duration(turns)*(slotTimeout-time.Second) {
			t.Errorf("got %d %s after %s", w.Code, w.Body, time.Since(start))
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
