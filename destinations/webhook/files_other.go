//go:build !unix

package webhook

// fileLimit is how many files the process may have open.
func fileLimit() uint64 { return noFileLimit }
