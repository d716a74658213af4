//go:build race

package schema

// pooled: under the race detector sync.Pool drops a quarter of what is given back,
// and package regexp allocates its machines again and again.
const pooled = false
