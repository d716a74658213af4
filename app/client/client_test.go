package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"eventserver/app"
	"eventserver/app/apptest"
	"eventserver/app/client"
	"eventserver/destinations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver remembers what was delivered.
type receiver struct {
	mu  sync.Mutex
	got []destinations.Delivery
}

func (r *receiver) ID() string { return "r" }
func (r *receiver) Transform(_ context.Context, e destinations.Event) (destinations.Payload, error) {
	return destinations.Payload{ContentType: e.ContentType, Body: e.Data}, nil
}
func (r *receiver) Deliver(_ context.Context, d destinations.Delivery) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, d)
	return nil
}

func newClient(t *testing.T, cfg client.Config) *client.Client {
	t.Helper()
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestEventsReachTheirDestination(t *testing.T) {
	r := &receiver{}
	kind := app.NewKind("test", func(string, struct{}) (destinations.Destination, error) { return r, nil })
	s := apptest.Start(t, "destinations: [{id: r, kind: test}]", app.Options{Kinds: []app.Kind{kind}})
	c := newClient(t, client.Config{URL: s.URL})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ids, err := c.Post(t.Context(),
		client.Event{Type: "order.placed", Key: "ann", Data: map[string]int{"total": 12}},
		client.Event{ID: "mine", Type: "order.paid", Source: "/shop", Key: "ann", Time: at, Data: json.RawMessage(`{ "total":  12 }`)})
	if err != nil || len(ids) != 2 || len(ids[0]) != 26 || ids[1] != "mine" {
		t.Fatalf("ids %v, error %v", ids, err)
	}
	s.WaitDelivered()
	if len(r.got) != 2 || r.got[0].EventID != ids[0] || r.got[1].EventID != "mine" || r.got[1].Key != "ann" || r.got[1].EventType != "order.paid" {
		t.Fatalf("delivered: %+v", r.got)
	}
	if got, want := string(r.got[1].Payload.Body), `{"id":"mine","type":"order.paid","source":"/shop","key":"ann","time":"2026-01-02T03:04:05Z","data":{"total":12}}`; got != want {
		t.Errorf("payload %s, want %s", got, want)
	}
	if ids, err := c.Post(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("nothing was posted: %v, %v", ids, err)
	}

	_, err = c.PostJSON(t.Context(), json.RawMessage(`{}`), json.RawMessage(`{"time":"yesterday"}`))
	var refused *client.RefusedError
	if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest || refused.Index != 1 || refused.Tries != 1 || !strings.Contains(err.Error(), "time") {
		t.Errorf("got %v", err)
	}
}

// What is sent again is the same request, ids and all, so that receivers see the repeat.
func TestARepeatHasTheSameIDs(t *testing.T) {
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		if r.Header.Get("Authorization") != "Bearer s3cret" || r.URL.Path != "/base/v1/events" {
			t.Errorf("%s, %v", r.URL, r.Header)
		}
		if len(bodies) < 3 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(503)
			return
		}
		w.WriteHeader(202)
		_, _ = io.WriteString(w, `{"ids":["a"]}`)
	}))
	defer server.Close()
	c := newClient(t, client.Config{URL: server.URL + "/base", APIKey: "s3cret"})
	if _, err := c.Post(t.Context(), client.Event{Type: "t"}); err != nil {
		t.Fatal(err)
	}
	if len(bodies) != 3 || len(slices.Compact(bodies)) != 1 {
		t.Errorf("posted: %v", bodies)
	}
}

func TestFailures(t *testing.T) {
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(429)
	}))
	defer busy.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := newClient(t, client.Config{URL: busy.URL}).Post(ctx, client.Event{}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "answered 429") {
		t.Errorf("while it waits: %v", err)
	}
	var refused *client.RefusedError
	if _, err := newClient(t, client.Config{URL: busy.URL, Retries: -1}).Post(t.Context(), client.Event{}); !errors.As(err, &refused) || refused.Status != 429 || refused.Index != -1 {
		t.Errorf("without retries: %v", err)
	}
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for url, refused := range map[string]bool{cut.URL: false, gone.URL: true} {
		var silent *client.NoAnswerError
		if _, err := newClient(t, client.Config{URL: url}).Post(t.Context(), client.Event{}); !errors.As(err, &silent) || silent.Refused != refused {
			t.Errorf("%v; refused %v", err, refused)
		}
	}
	if _, err := newClient(t, client.Config{}).Post(t.Context(), client.Event{ID: "e", Data: func() {}}); err == nil || !strings.Contains(err.Error(), "encode event e") {
		t.Errorf("what is no JSON: %v", err)
	}
	for _, url := range []string{"127.0.0.1:8080", "ftp://h", "http://", "http://u:s3cret@h", "http://h:s3cret"} {
		if _, err := client.New(client.Config{URL: url}); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"ids":["order-17"]}`)
	}))
	defer server.Close()

	events, err := client.New(client.Config{URL: server.URL}) // that of eventserver, such as http://127.0.0.1:8080
	if err != nil {
		fmt.Println(err)
		return
	}
	defer events.Close()
	ids, err := events.Post(context.Background(), client.Event{
		ID: "order-17", Type: "order.placed", Key: "user-7", Data: map[string]any{"total": 12},
	})
	fmt.Println(ids, err)
	// Output: [order-17] <nil>
}
