package chaos_test

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"

	"eventserver/cmd/eventserver/e2e/harness"
)

// receiver is that of one destination. It can be down.
type receiver struct {
	*harness.Receiver
	outage  atomic.Int32 // the answer to everything; ok200: what the script says
	refuses bool
	kept    int // while it refuses: a socket that keeps the address from others
}

// refused is no answer: connections are refused.
const refused answer = -1

// fail takes the receiver down, from one way to another, or up again (ok200).
func (r *receiver) fail(t *testing.T, how answer) {
	t.Helper()
	r.outage.Store(int32(max(how, ok200)))
	switch refuses := how == refused; {
	case refuses && !r.refuses:
		r.Close()
		r.keep(t)
	case !refuses && r.refuses:
		if err := r.Open(); err != nil {
			t.Fatal(err)
		}
		_ = syscall.Close(r.kept)
	}
	r.refuses = how == refused
}

// keep binds the address and does not listen: a connection is refused, and nobody
// else gets the port.
func (r *receiver) keep(t *testing.T) {
	t.Helper()
	at := netip.MustParseAddrPort(r.Addr)
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
		err = errors.Join(syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1),
			syscall.Bind(fd, &syscall.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}))
	}
	if err != nil {
		t.Fatal(err)
	}
	r.kept = fd
}
