//go:build unix

package local

import (
	"errors"
	"os"
	"syscall"
)

// lockDirectory locks the directory itself, not a file in it: a file can be deleted
// while a server runs, and the next server would then make and lock another. The
// kernel drops the lock when the process dies. Readers share it.
func lockDirectory(path string, readOnly bool) (*dirLock, error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX
	if readOnly {
		how = syscall.LOCK_SH
	}
	for {
		err = syscall.Flock(int(d.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	switch {
	case err == nil:
		var info os.FileInfo
		if info, err = d.Stat(); err == nil {
			return &dirLock{d, []namedFile{{path, info}}}, nil
		}
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = errHeld
	case errors.Is(err, syscall.EBADF), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.ENOTSUP):
		_ = d.Close() // a network file system, where directories cannot be locked
		return lockFile(path)
	}
	_ = d.Close()
	return nil, err
}
