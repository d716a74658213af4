package main_test

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// site is where one destination listens. It can go down: refuse connections
// (close) or answer everything with 503 (refuses).
type site struct {
	handler http.Handler
	addr    string
	refuses atomic.Bool
	srv     *http.Server
}

// open listens, at the same address as before.
func (s *site) open(t *testing.T) error {
	t.Helper()
	if s.addr == "" {
		s.addr = "127.0.0.1:0"
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", s.addr)
	if err != nil {
		return err
	}
	s.addr = l.Addr().String()
	s.srv = &http.Server{Handler: s.handler, ReadHeaderTimeout: 30 * time.Second}
	go func() { _ = s.srv.Serve(l) }()
	return nil
}

// close refuses connections and cuts those that are open.
func (s *site) close() { _ = s.srv.Close() }
