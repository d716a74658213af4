//go:build !unix

package file

import "os"

const (
	noFollow = 0
	noWait   = 0
)

// There is no flock: that nobody else writes is left to the operator.
func lock(*os.File) error { return nil }

// Directories cannot be synced here.
func syncDir(string) error { return nil }
