package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"eventserver/app/access"
)

func keyed(names ...string) (keys []access.Key) {
	for _, n := range names {
		keys = append(keys, access.Key{Name: n, SHA256: [][sha256.Size]byte{sha256.Sum256([]byte(n))}})
	}
	return keys
}

// Guessing takes time, and takes nothing from a client with a right key: not its
// slot in flight, not the memory for requests, and not a moment.
func TestWrongKeysWaitAndHoldNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := limited(t, Config{Keys: keyed("right"), MaxInFlight: 1, PublishTimeout: time.Millisecond})
		post := func(key string) (*httptest.ResponseRecorder, time.Duration) {
			// The right one is answered 400: it gets as far as its body.
			r := httptest.NewRequest(http.MethodPost, PathEvents, strings.NewReader("x"))
			if key != "" {
				r.Header.Set("Authorization", "Bearer "+key)
			}
			w, began := httptest.NewRecorder(), time.Now()
			s.server.Handler.ServeHTTP(w, r)
			return w, time.Since(began)
		}
		const many = 500
		var wg sync.WaitGroup
		var mu sync.Mutex
		late := 0
		for range many {
			wg.Go(func() {
				w, took := post("wrong")
				mu.Lock()
				defer mu.Unlock()
				if w.Code != http.StatusUnauthorized || w.Header().Get("Connection") != "close" {
					t.Errorf("a wrong key: %d", w.Code)
				}
				if took >= wrongDelay {
					late++
				}
			})
		}
		synctest.Wait() // those that wait do so
		if used := s.budget.Used(); used != 0 || len(s.inFlight) != 0 {
			t.Errorf("wrong keys hold %d bytes and %d slots", used, len(s.inFlight))
		}
		if w, took := post("right"); w.Code != http.StatusBadRequest || took != 0 {
			t.Errorf("the right key: %d after %s", w.Code, took)
		}
		if w, took := post(""); w.Code != http.StatusUnauthorized || took != 0 {
			t.Errorf("no key: %d after %s", w.Code, took)
		}
		wg.Wait()
		if late != wrongMost {
			t.Errorf("%d of %d waited, want %d", late, many, wrongMost)
		}
		if got := testutil.ToFloat64(s.cfg.Metrics.WrongKeys); got != many {
			t.Errorf("%v are counted", got)
		}
		for range 3 { // one after the other each of them waits
			if _, took := post("wrong"); took != wrongDelay {
				t.Errorf("answered after %s", took)
			}
		}
		began := time.Now()
		wg.Go(func() { post("wrong") })
		synctest.Wait()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if took := time.Since(began); took != 0 {
			t.Errorf("the stop waited %s for a wrong key", took)
		}
	})
}

// Who sent is in the metrics, by the name of the key: as many series as keys.
func TestClientsAreCounted(t *testing.T) {
	s := limited(t, Config{Keys: keyed("shop", "app", "idle"), PublishTimeout: time.Minute})
	for _, path := range []string{PathEvents, PathPublish} {
		in, err := s.Subscriber().Subscribe(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for msg := range in {
				msg.Ack()
			}
		}()
	}
	for _, c := range []struct{ key, path, body string }{
		{"shop", PathEvents, `[{},{},{}]`}, {"shop", PathPublish, `{"userId":"u","payload":""}`}, {"app", PathEvents, `{}`},
		{"app", PathEvents, `{`}, {"app", PathPublish, `{}`}, {"", PathEvents, `{}`},
	} {
		r := httptest.NewRequest(http.MethodPost, c.path, strings.NewReader(c.body))
		r.Header.Set("Authorization", "Bearer "+c.key)
		s.server.Handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	for client, want := range map[string]struct{ accepted, rejected float64 }{"shop": {4, 0}, "app": {1, 2}, "idle": {0, 0}} {
		accepted := testutil.ToFloat64(s.cfg.Metrics.ClientAccepted.WithLabelValues(client))
		rejected := testutil.ToFloat64(s.cfg.Metrics.ClientRejected.WithLabelValues(client))
		if accepted != want.accepted || rejected != want.rejected {
			t.Errorf("%s: %v accepted, %v rejected", client, accepted, rejected)
		}
	}
	if n := testutil.CollectAndCount(s.cfg.Metrics.ClientAccepted); n != 3 {
		t.Errorf("%d series of 3 keys", n)
	}
}

// The metrics can have a listener and tokens of their own; a client's key does not
// open them, nor a token the events.
func TestMetricsHaveTheirOwnDoor(t *testing.T) {
	scraped := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") })
	for name, c := range map[string]struct {
		own    bool
		tokens []access.Key
		want   map[string]int // answers to GET /metrics by the secret
	}{
		"as they were":           {false, nil, map[string]int{"": 200, "shop": 200}},
		"a token":                {false, keyed("prom"), map[string]int{"": 401, "shop": 401, "prom": 200}},
		"a listener":             {true, nil, map[string]int{"": 200}},
		"a listener and a token": {true, keyed("prom", "next"), map[string]int{"": 401, "prom": 200, "next": 200}},
	} {
		t.Run(name, func(t *testing.T) {
			s := limited(t, Config{Keys: keyed("shop"), MetricsTokens: c.tokens, MetricsAddr: map[bool]string{true: "127.0.0.1:0"}[c.own]})
			s.cfg.Scrape = scraped
			s.server.Handler = s.routes()
			if c.own {
				s.scraper = s.newScraper()
			}
			if err := s.Listen(t.Context()); err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			go func() { served <- s.Serve() }()
			defer func() {
				if err := errors.Join(s.Shutdown(context.Background()), <-served); err != nil {
					t.Error(err)
				}
			}()
			get := func(addr, path, secret, host string) (int, string) {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				if r.Host = host; secret != "" {
					r.Header.Set("Authorization", "Bearer "+secret)
				}
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = resp.Body.Close() }()
				b, _ := io.ReadAll(resp.Body)
				return resp.StatusCode, string(b)
			}
			for secret, want := range c.want {
				if code, body := get(s.MetricsAddr(), PathMetrics, secret, ""); code != want || (body == "metrics") != (want == 200) {
					t.Errorf("with %q: %d %s, want %d", secret, code, body, want)
				}
			}
			if code, _ := get(s.MetricsAddr(), PathMetrics, "", "rebound.evil.example"); (code == 403) != (c.tokens == nil) {
				t.Errorf("a foreign Host: %d", code)
			}
			if c.own {
				if code, _ := get(s.Addr(), PathMetrics, "prom", ""); code != 404 {
					t.Errorf("the events' listener: %d", code)
				}
				if code, _ := get(s.MetricsAddr(), "/readyz", "prom", ""); code != 404 {
					t.Errorf("the metrics' listener has more: %d", code)
				}
			}
		})
	}
}
