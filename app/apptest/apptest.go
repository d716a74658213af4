package apptest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"eventserver/app"
)

// startTimeout bounds the start of a server, and settleTimeout what WaitDelivered waits.
const (
	startTimeout  = 30 * time.Second
	settleTimeout = 30 * time.Second
)

// Server is an event-server that runs until the test ends.
type Server struct {
	*app.App
	URL string // of the listener for events, such as http://127.0.0.1:34567

	tb testing.TB
}

// Start runs a server with a configuration in YAML. Events stay in memory, the listeners
// take free ports of 127.0.0.1, and nothing that broker, http.addr and admin.addr say in the
// configuration counts. A failure ends the test. The server stops when the test ends.
func Start(tb testing.TB, yaml string, o app.Options) *Server {
	tb.Helper()
	cfg, err := app.Parse([]byte(yaml), o)
	if err != nil {
		tb.Fatal(err)
	}
	cfg.Broker.Kind, cfg.HTTP.Addr, cfg.Admin.Addr = "memory", "127.0.0.1:0", "127.0.0.1:0"
	ctx, stop := context.WithCancel(context.Background())
	a, err := app.New(ctx, cfg, o)
	if err != nil {
		stop()
		tb.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	tb.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, a.Close()); err != nil {
			tb.Error(err)
		}
	})
	late := time.NewTimer(startTimeout)
	defer late.Stop()
	select {
	case <-a.Ready():
	case err := <-ended:
		ended <- nil
		tb.Fatalf("the server ended while starting: %v", err)
	case <-late.C:
		tb.Fatalf("the server is not ready after %v", startTimeout)
	}
	return &Server{App: a, URL: "http://" + a.Addr(), tb: tb}
}

// Post sends one event, or an array of them, to POST /v1/events. Another answer than 202
// ends the test.
func (s *Server) Post(json string) {
	s.tb.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.URL+"/v1/events", strings.NewReader(json))
	if err != nil {
		s.tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		s.tb.Fatalf("POST /v1/events: %s: %s: %v", resp.Status, body, err)
	}
}

// WaitDelivered returns when each event that was accepted before is delivered, not wanted,
// or in a poison queue, at every destination. After 30 s it ends the test.
func (s *Server) WaitDelivered() {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	if err := s.App.WaitDelivered(ctx); err != nil {
		s.tb.Fatal(err)
	}
}
