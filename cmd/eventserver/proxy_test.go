package main_test

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// wires are connections that can be cut.
type wires struct {
	mu   sync.Mutex
	open map[net.Conn]bool
	cuts int
}

func (w *wires) add(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == nil {
		w.open = map[net.Conn]bool{}
	}
	w.open[c] = true
}

func (w *wires) remove(c net.Conn) {
	w.mu.Lock()
	delete(w.open, c)
	w.mu.Unlock()
}

// cutSome resets a share of the open connections, at random, at least one.
func (w *wires) cutSome(share float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for c := range w.open {
		if n > 0 && rand.Float64() > share {
			continue
		}
		n++
		cut(c)
		delete(w.open, c)
	}
	w.cuts += n
}

func (w *wires) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cuts
}

// proxy stands between the server and a receiver, and cuts their connections.
type proxy struct {
	wires
	addr string
}

// newProxy passes everything on to target until the test ends.
func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String()}
	t.Cleanup(func() { _ = l.Close(); p.cutSome(1) })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go p.pass(in, target)
		}
	}()
	return p
}

func (p *proxy) pass(in net.Conn, target string) {
	defer func() { _ = in.Close() }()
	out, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		cut(in)
		return
	}
	p.add(in)
	defer p.remove(in)
	defer func() { _ = out.Close() }()
	go func() {
		_, _ = io.Copy(out, in)
		_ = out.Close()
	}()
	_, _ = io.Copy(in, out)
}

// cutListener is a listener whose connections can be cut: the broker's own.
type cutListener struct {
	net.Listener
	wires *wires
}

func (l cutListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.wires.add(c)
	return wire{Conn: c, wires: l.wires}, nil
}

type wire struct {
	net.Conn
	wires *wires
}

func (w wire) Close() error {
	w.wires.remove(w.Conn)
	return w.Conn.Close()
}

// The proxy passes bytes on, and what it cuts ends with an error.
func TestProxyCuts(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
	p := newProxy(t, l.Addr().String())
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 4)
	if _, err := c.Write([]byte("echo")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "echo" {
		t.Fatalf("the proxy returned %q, %v", buf, err)
	}
	p.cutSome(1)
	if _, err := io.ReadFull(c, buf); err == nil || p.count() != 1 {
		t.Errorf("after a cut: error %v, %d cuts", err, p.count())
	}
}
