package cause

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"
)

// What names the place a second time is left out; what to decide by stays.
func TestOf(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, c := range []struct {
		err  error
		want string
		is   error
	}{
		{io.EOF, "EOF", io.EOF},
		{refused, "connection refused", syscall.ECONNREFUSED},
		{&url.Error{Op: "Get", URL: "http://h/?token=x", Err: refused}, "connection refused", syscall.ECONNREFUSED},
		{fmt.Errorf("ask: %w", &url.Error{Op: "Post", URL: "http://h", Err: io.EOF}), "EOF", io.EOF},
		{&os.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}, "no such file or directory", os.ErrNotExist},
		{&os.LinkError{Op: "rename", Old: "/x", New: "/y", Err: syscall.EXDEV}, "invalid cross-device link", syscall.EXDEV},
		{&url.Error{Op: "Get", URL: "http://h", Err: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "h", IsNotFound: true}}}, "no host has the name h", nil},
	} {
		if got := Of(c.err); got.Error() != c.want || c.is != nil && !errors.Is(got, c.is) {
			t.Errorf("%v: %v, want %s", c.err, got, c.want)
		}
	}
}
