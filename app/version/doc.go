// Package version says which build runs: what a release sets with -ldflags -X,
// or what Go noted of the repository when it built the program.
//
// It is a leaf: it imports the standard library alone.
package version
