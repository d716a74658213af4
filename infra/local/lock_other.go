//go:build !unix

package local

// lockDirectory locks a file that cannot be deleted while it is open.
func lockDirectory(path string, _ bool) (*dirLock, error) { return lockFile(path) }
