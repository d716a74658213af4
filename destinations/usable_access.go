//go:build linux || darwin || freebsd

package destinations

import "syscall"

// writable asks the system, which also knows of read-only file systems.
func writable(path string, dir bool) error {
	const write, search = 2, 1
	mode := uint32(write)
	if dir {
		mode |= search
	}
	return syscall.Access(path, mode)
}
