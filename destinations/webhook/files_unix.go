//go:build unix

package webhook

import "syscall"

// fileLimit is how many files the process may have open.
func fileLimit() uint64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return noFileLimit
	}
	return min(uint64(l.Cur), noFileLimit) //nolint:unconvert // FreeBSD has it signed
}
