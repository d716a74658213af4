package chaos_test

import (
	"io"
	"net"
	"testing"
	"time"

	"eventserver/cmd/eventserver/e2e/harness"
)

// proxy stands between the server and a receiver, and cuts their connections.
type proxy struct {
	harness.Connections
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
	t.Cleanup(func() { _ = l.Close(); p.ResetSome(1) })
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
		harness.Reset(in)
		return
	}
	p.Add(in)
	defer p.Remove(in)
	defer func() { _ = out.Close() }()
	go func() {
		_, _ = io.Copy(out, in)
		_ = out.Close()
	}()
	_, _ = io.Copy(in, out)
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
	p.ResetSome(1)
	if _, err := io.ReadFull(c, buf); err == nil || p.Resets() != 1 {
		t.Errorf("after a cut: error %v, %d cuts", err, p.Resets())
	}
}
