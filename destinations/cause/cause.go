package cause

import (
	"errors"
	"net"
	"net/url"
	"os"
)

// Of is err without what net/http, net and os put in front of it: the method,
// the URL, the path, the address and the system call. The caller's own text names
// the place, once.
func Of(err error) error {
	for {
		var inner error
		var u *url.Error
		var op *net.OpError
		var path *os.PathError
		var link *os.LinkError
		var call *os.SyscallError
		switch {
		case errors.As(err, &u):
			inner = u.Err
		case errors.As(err, &op):
			inner = op.Err
		case errors.As(err, &path):
			inner = path.Err
		case errors.As(err, &link):
			inner = link.Err
		case errors.As(err, &call):
			inner = call.Err
		}
		if inner == nil {
			if text, ok := ofName(err); ok {
				return named{err, text}
			}
			return err
		}
		err = inner
	}
}
