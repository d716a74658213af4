package ingest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"eventserver/app/ingest/budget"
)

// aLongTimeAgo is a deadline that a closed connection refuses.
var aLongTimeAgo = time.Unix(1, 0)

// unread is the client of an answer that nobody reads: a Write to it waits.
type unread struct {
	*httptest.ResponseRecorder
	writes chan int // the length of what is written
	end    chan struct{}
}

func (u *unread) Write(p []byte) (int, error) {
	u.writes <- len(p)
	<-u.end
	return len(p), nil
}

// Clients that did not read their answers held the slots of requests in flight
// and the memory of whole batches until the write timed out: as many as
// max_in_flight locked everybody else out.
func TestUnreadAnswersHoldNoSlot(t *testing.T) {
	var batch strings.Builder
	for i := range 500 {
		fmt.Fprintf(&batch, `,{"id":"%0200d","data":"%02000d"}`, i, i)
	}
	many := "[" + batch.String()[1:] + "]"
	for name, c := range map[string]struct {
		path, body string
		status     int
	}{
		"an event":        {PathEvents, `{"id":"e"}`, 202},
		"a batch":         {PathEvents, many, 202},
		"a bad batch":     {PathEvents, many[:len(many)-1] + `,{"id":1}]`, 413},
		"a bad event":     {PathEvents, `{"id":1}`, 400},
		"the old API":     {PathPublish, `{"userId":"u","payload":"p"}`, 200},
		"of the old, bad": {PathPublish, `{"userId":"u"}`, 400},
	} {
		t.Run(name, func(t *testing.T) {
			s := limited(t, Config{MaxInFlight: 1})
			in, err := s.Subscriber().Subscribe(t.Context(), c.path)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for msg := range in {
					msg.Ack()
				}
			}()
			post := func(w http.ResponseWriter) {
				r := httptest.NewRequest(http.MethodPost, c.path, strings.NewReader(c.body))
				r.Header.Set("Content-Type", "application/json")
				s.server.Handler.ServeHTTP(w, r)
			}
			slow := &unread{httptest.NewRecorder(), make(chan int, 8), make(chan struct{})}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				post(slow)
			}()
			size := <-slow.writes
			if slow.Code != c.status {
				t.Fatalf("the first was answered %d, want %d", slow.Code, c.status)
			}
			if used := s.budget.Used(); used > budget.RequestCost+2*budget.HeaderCost+budget.Buffer(size) {
				t.Errorf("an answer of %d bytes that is not read holds %d bytes", size, used)
			}
			next := httptest.NewRecorder()
			if post(next); next.Code != c.status {
				t.Errorf("the next was answered %d %s", next.Code, next.Body)
			}
			close(slow.end)
			if <-ended; s.budget.Used() != 0 {
				t.Errorf("%d bytes are still charged", s.budget.Used())
			}
		})
	}
}

// A connection whose answer is there makes room, as those that send slowly do.
func TestConnectionsThatReadSlowlyMakeRoom(t *testing.T) {
	s := limited(t, Config{Memory: 4 * budget.ConnectionCost}) // one place
	conn := func() net.Conn {
		c, other := net.Pipe()
		t.Cleanup(func() { _ = errors.Join(c.Close(), other.Close()) })
		s.connections.state(c, http.StateNew)
		return c
	}
	closed := func(c net.Conn) bool { return c.SetDeadline(aLongTimeAgo) != nil }
	first := conn()
	r := httptest.NewRequest(http.MethodPost, PathEvents, nil)
	r = r.WithContext(s.connections.Context(t.Context(), first))
	s.connections.Busy(r)
	if second := conn(); closed(first) || !closed(second) {
		t.Error("a request at work lost its place")
	}
	s.connections.Waits(r)
	if third := conn(); !closed(first) || closed(third) {
		t.Error("an answer that is not read keeps its place")
	}
}

// Every answer says that it is kept nowhere and is what its type says.
func TestEveryAnswerIsMarked(t *testing.T) {
	s := limited(t, Config{Keys: keyed("shop"), MetricsTokens: keyed("prom"), MetricsAddr: "127.0.0.1:0"})
	alone := limited(t, Config{})
	alone.cfg.Scrape = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("up 1\n")) })
	alone.server.Handler = alone.routes()
	s.cfg.Scrape = alone.cfg.Scrape
	for _, c := range []struct {
		handler             http.Handler
		method, path, token string
		status              int
	}{
		{s.server.Handler, "GET", "/healthz", "", 200}, {s.server.Handler, "HEAD", "/readyz", "", 200}, {s.server.Handler, "GET", "/nothing", "", 404},
		{s.server.Handler, "GET", PathEvents, "", 405}, {s.server.Handler, "POST", PathEvents, "", 401}, {s.server.Handler, "POST", PathEvents, "shop", 400},
		{s.newScraper().Handler, "GET", PathMetrics, "", 401}, {s.newScraper().Handler, "GET", PathMetrics, "prom", 200}, {s.newScraper().Handler, "GET", "/", "", 404},
		{alone.server.Handler, "GET", PathMetrics, "", 200},
	} {
		r, w := httptest.NewRequest(c.method, c.path, nil), httptest.NewRecorder()
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		c.handler.ServeHTTP(w, r)
		if h := w.Header(); w.Code != c.status || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %d, want %d, %v", c.method, c.path, w.Code, c.status, h)
		}
	}
}

// Idle scrapers kept their connections for minutes, as many as came.
func TestTheMetricsListenerBoundsItsConnections(t *testing.T) {
	s := limited(t, Config{MetricsAddr: "127.0.0.1:0"})
	conns := make([]net.Conn, maxScrapers+1)
	for i := range conns {
		c, other := net.Pipe()
		defer func() { _ = errors.Join(c.Close(), other.Close()) }()
		conns[i] = c
		s.scraper.ConnState(c, http.StateNew)
		s.scraper.ConnState(c, http.StateActive) // it has sent a byte
	}
	if conns[0].SetDeadline(aLongTimeAgo) == nil {
		t.Error("the connection that has waited for longest was kept")
	}
	if err := conns[1].SetDeadline(aLongTimeAgo); err != nil {
		t.Errorf("one that had waited for less: %v", err)
	}
}

// An encoding that is given in two lines is a list of two, not the first.
func TestEncodingsGivenTwice(t *testing.T) {
	for _, lines := range [][]string{{"gzip", "gzip"}, {"identity", "gzip"}, {"gzip", "br"}, {"", "gzip"}} {
		s := limited(t, Config{})
		r, w := httptest.NewRequest(http.MethodPost, PathEvents, strings.NewReader(`{"id":"e"}`)), httptest.NewRecorder()
		r.Header["Content-Encoding"] = lines
		if s.server.Handler.ServeHTTP(w, r); w.Code != http.StatusUnsupportedMediaType {
			t.Errorf("%q: %d %s", lines, w.Code, w.Body)
		}
	}
}
