//go:build unix

package main

import "syscall"

// ownFiles has every file that the process makes be its user's alone, whatever
// the libraries ask for: events are in them. It returns what ends that.
func ownFiles() func() {
	old := syscall.Umask(0o077)
	return func() { syscall.Umask(old) }
}
