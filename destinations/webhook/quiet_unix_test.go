//go:build unix

package webhook

import (
	"errors"
	"net"
	"runtime"
	"testing"
	"time"
)

// A connection that the receiver has closed is not used: its request would be
// lost, and sent a second time.
func TestClosedConnectionIsNotTaken(t *testing.T) {
	near, far := tcpPair(t)
	p := pool{most: 1, idle: time.Hour}
	defer p.close()
	p.put(newLink(near))
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	for quiet(near) { // until its end has come
		runtime.Gosched()
	}
	if p.take() != nil {
		t.Error("it was taken")
	}
	if _, err := near.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it is open: %v", err)
	}
}

func tcpPair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l := listening(t)
	defer func() { _ = l.Close() }()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
	return near, far
}
