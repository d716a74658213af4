package http

import (
	"container/list"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"eventserver/app/http/budget"
)

// connections bounds how many there are, and what the heads of requests take
// while they arrive. A connection that is too many takes the place of the one
// that has waited for its client for longest, so that nobody can hold all places
// by being slow; where each has a whole request under way, it is closed.
type connections struct {
	net.Listener
	budget *budget.Budget
	closed func() // is called for each that is closed for want of a place

	mu      sync.Mutex
	open    map[net.Conn]*list.Element // nil: its request is being answered
	waiting list.List                  // those that wait for their client, the longest first
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
	if gone := c.place(conn, state); gone != nil {
		c.closed()
		_ = gone.Close() // its client may have gone
	}
}

// place keeps the books, and returns the connection that has to go.
func (c *connections) place(conn net.Conn, state http.ConnState) (gone net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.open[conn]; e != nil {
		c.waiting.Remove(e)
	}
	switch state {
	case http.StateNew:
		if len(c.open) >= c.budget.Connections() {
			oldest := c.waiting.Front()
			if oldest == nil {
				return conn
			}
			gone = c.waiting.Remove(oldest).(net.Conn)
			delete(c.open, gone)
		}
		c.open[conn] = c.waiting.PushBack(conn)
	case http.StateActive, http.StateIdle: // a body may follow, or another request
		if _, there := c.open[conn]; there {
			c.open[conn] = c.waiting.PushBack(conn)
		}
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
	}
	return gone
}

type connKey struct{}

// context is the http.Server's ConnContext.
func (c *connections) context(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// busy says that the request is here whole: its connection waits for the server.
func (c *connections) busy(r *http.Request) {
	conn, ok := r.Context().Value(connKey{}).(net.Conn)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.open[conn]; e != nil {
		c.waiting.Remove(e)
		c.open[conn] = nil
	}
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
