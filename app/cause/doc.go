// Package cause takes from errors of the network and of files what a text that
// names the place already would say twice. It is a leaf; what an error means is
// decided elsewhere.
package cause
