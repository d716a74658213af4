//go:build unix

package webhook

import (
	"errors"
	"net"
	"syscall"
)

// quiet reports whether a connection is open and its receiver has sent nothing:
// most close an idle one some day, and a request on it would be lost.
func quiet(conn net.Conn) bool {
	if p, ok := conn.(*placed); ok {
		conn = p.Conn
	}
	sys, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return false
	}
	var got error
	err = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, got = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK) // Go's descriptors do not block
		return true
	})
	return err == nil && (errors.Is(got, syscall.EAGAIN) || errors.Is(got, syscall.EINTR))
}
