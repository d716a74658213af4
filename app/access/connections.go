package access

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
)

// Connections bounds those of an http.Server. One that is too many takes the
// place of the one that has waited for its client for longest, so that nobody
// can hold all places by being slow; where each has a request that the server
// works on, it is closed.
type Connections struct {
	most    int
	dropped func()

	mu      sync.Mutex
	open    map[net.Conn]*list.Element // nil: its request is being answered
	waiting list.List                  // those that wait for their client, the longest first
}

// NewConnections bounds them to most. dropped, if any, is called for each that is
// closed for want of a place.
func NewConnections(most int, dropped func()) *Connections {
	if dropped == nil {
		dropped = func() {}
	}
	return &Connections{most: most, dropped: dropped, open: map[net.Conn]*list.Element{}}
}

// State is the http.Server's ConnState.
func (c *Connections) State(conn net.Conn, state http.ConnState) {
	if gone := c.place(conn, state); gone != nil {
		c.dropped()
		_ = gone.Close() // its client may have gone
	}
}

// place keeps the books, and returns the connection that has to go.
func (c *Connections) place(conn net.Conn, state http.ConnState) (gone net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		if len(c.open) >= c.most {
			oldest := c.waiting.Front()
			if oldest == nil {
				return conn
			}
			gone = c.waiting.Remove(oldest).(net.Conn)
			delete(c.open, gone)
		}
		c.open[conn] = c.waiting.PushBack(conn)
	case http.StateActive, http.StateIdle: // a body may follow, or another request
		switch e, there := c.open[conn]; {
		case e != nil:
			c.waiting.MoveToBack(e)
		case there:
			c.open[conn] = c.waiting.PushBack(conn)
		}
	case http.StateClosed, http.StateHijacked:
		if e := c.open[conn]; e != nil {
			c.waiting.Remove(e)
		}
		delete(c.open, conn)
	}
	return gone
}

type connKey struct{}

// Context is the http.Server's ConnContext.
func (c *Connections) Context(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// Busy says that the request is here whole: its connection waits for the server.
func (c *Connections) Busy(r *http.Request) {
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

// Waits says that the answer is there: the connection waits for its client
// again, which may read it slowly.
func (c *Connections) Waits(r *http.Request) {
	conn, ok := r.Context().Value(connKey{}).(net.Conn)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, there := c.open[conn]; there && e == nil {
		c.open[conn] = c.waiting.PushBack(conn)
	}
}
