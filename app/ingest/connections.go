package ingest

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"eventserver/app/access"
	"eventserver/app/ingest/budget"
)

// connections bounds how many there are, and what the heads of requests take
// while they arrive.
type connections struct {
	*access.Connections
	net.Listener
	budget *budget.Budget
}

// Accept implements net.Listener.
func (c *connections) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	h := &headed{Conn: conn, share: c.budget.Share()}
	h.reading.Store(true)
	return h, nil
}

// state is the http.Server's ConnState.
func (c *connections) state(conn net.Conn, state http.ConnState) {
	if h, ok := conn.(*headed); ok {
		h.head(state == http.StateNew || state == http.StateIdle)
	}
	c.State(conn, state)
}

// headed is a connection that charges the bytes of a request's head before they
// are parsed.
type headed struct {
	net.Conn
	reading atomic.Bool // a head is being read

	mu    sync.Mutex
	share *budget.Share
}

var errHead = errors.New("the memory for requests is used up by their heads")

// Read implements net.Conn.
func (h *headed) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if n > 0 && h.reading.Load() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.share.Grow(int64(n)*budget.HeaderByteCost) != nil {
			return 0, errHead
		}
	}
	return n, err
}

// head begins or ends the reading of a head. From its end on the handler charges
// what the request takes.
func (h *headed) head(reading bool) {
	h.reading.Store(reading)
	if !reading {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.share.Release()
	}
}
