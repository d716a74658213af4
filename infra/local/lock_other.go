//go:build !unix

package local

import "io"

// lockDirectory locks a file that cannot be deleted while it is open.
func lockDirectory(path string, _ bool) (io.Closer, error) { return lockFile(path) }
