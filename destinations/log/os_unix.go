//go:build unix

package log

import (
	"os"
	"syscall"
)

// detached is f under another number. Go ends a process that writes to a pipe
// without a reader on number 1 or 2, unless the program ignores SIGPIPE; on any
// other the write fails.
func detached(f *os.File) (*os.File, error) {
	n, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	syscall.CloseOnExec(n)
	return os.NewFile(uintptr(n), f.Name()), nil
}
