// Package cause says in our words why the network or a file failed: Of for
// clients, whose text names the place already, Words for destinations, with the
// address. What an error means is decided elsewhere.
//
// It may import the standard library only.
package cause
