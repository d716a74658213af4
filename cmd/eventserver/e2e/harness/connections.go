package harness

import (
	"math/rand/v2"
	"net"
	"sync"
)

// Connections are open ones, that can be reset.
type Connections struct {
	mu     sync.Mutex
	open   map[net.Conn]bool
	resets int
}

// Add says that a connection is open.
func (c *Connections) Add(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[net.Conn]bool{}
	}
	c.open[conn] = true
}

// Remove is the opposite of Add.
func (c *Connections) Remove(conn net.Conn) {
	c.mu.Lock()
	delete(c.open, conn)
	c.mu.Unlock()
}

// ResetSome resets a share of the open connections, at random, at least one.
func (c *Connections) ResetSome(share float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for conn := range c.open {
		if n > 0 && rand.Float64() > share {
			continue
		}
		n++
		Reset(conn)
		delete(c.open, conn)
	}
	c.resets += n
}

// Resets is how many were reset.
func (c *Connections) Resets() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resets
}

// Reset ends a connection with a reset, not with an orderly end.
func Reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// Listener is a listener whose connections can be reset.
type Listener struct {
	net.Listener
	Connections *Connections
}

// Accept implements net.Listener.
func (l Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.Connections.Add(c)
	return listed{c, l.Connections}, nil
}

// listed is a connection that is removed when it is closed.
type listed struct {
	net.Conn
	connections *Connections
}

// Close implements net.Conn.
func (c listed) Close() error {
	c.connections.Remove(c.Conn)
	return c.Conn.Close()
}
