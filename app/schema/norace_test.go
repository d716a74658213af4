//go:build !race

package schema

const pooled = true
