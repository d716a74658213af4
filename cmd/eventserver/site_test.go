package main_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// site is where one destination listens. It can go down.
type site struct {
	handler http.Handler
	addr    string
	outage  atomic.Int32 // the answer to everything; ok200: what the script says
	srv     *http.Server
	at      net.Listener
	kept    int // while it is closed: a socket that keeps the address from others
	closed  bool
}

// refused is no answer: connections are refused.
const refused answer = -1

// turn takes the site down, from one way to another, or up again.
func (s *site) turn(t *testing.T, to answer) {
	t.Helper()
	s.outage.Store(int32(max(to, ok200)))
	switch closed := to == refused; {
	case closed && !s.closed:
		s.close()
		s.keep(t)
	case !closed && s.closed:
		if err := s.open(t); err != nil {
			t.Fatal(err)
		}
		_ = syscall.Close(s.kept)
	}
}

// keep binds the address and does not listen: it is refused, and nobody's own.
func (s *site) keep(t *testing.T) {
	t.Helper()
	at := netip.MustParseAddrPort(s.addr)
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
		err = errors.Join(syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1),
			syscall.Bind(fd, &syscall.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}))
	}
	if err != nil {
		t.Fatal(err)
	}
	s.kept = fd
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
	s.at, s.addr, s.closed = l, l.Addr().String(), false
	s.srv = &http.Server{Handler: s.handler, ReadHeaderTimeout: 30 * time.Second}
	go func() { _ = s.srv.Serve(l) }()
	return nil
}

// close refuses connections and cuts those that are open.
func (s *site) close() {
	s.closed = true
	_, _ = s.at.Close(), s.srv.Close() // a server that does not serve yet closes no listener
}
