package harness

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"
)

// Receiver is an HTTP server that keeps its address while it is closed and open again.
type Receiver struct {
	Handler http.Handler
	Addr    string // "" until it is first open

	srv      *http.Server
	listener net.Listener
}

// NewReceiver is open until the test ends.
func NewReceiver(t *testing.T, h http.Handler) *Receiver {
	t.Helper()
	r := &Receiver{Handler: h}
	if err := r.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// Open listens, at the same address as before.
func (r *Receiver) Open() error {
	if r.Addr == "" {
		r.Addr = "127.0.0.1:0"
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", r.Addr)
	if err != nil {
		return err
	}
	r.listener, r.Addr = l, l.Addr().String()
	r.srv = &http.Server{Handler: r.Handler, ReadHeaderTimeout: 30 * time.Second}
	go func() { _ = r.srv.Serve(l) }()
	return nil
}

// Close refuses connections and resets those that are open.
func (r *Receiver) Close() {
	_, _ = r.listener.Close(), r.srv.Close() // a server that does not serve yet closes no listener
}
