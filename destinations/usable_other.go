//go:build !(linux || darwin || freebsd)

package destinations

// writable is not known before the first write.
func writable(string, bool) error { return nil }
