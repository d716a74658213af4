package strict

import (
	"slices"
	"strings"
)

// unsetError is the error of a variable that is not set.
type unsetError struct{ name string }

// Error implements error.
func (e *unsetError) Error() string {
	return "environment variable " + e.name + " is not set; set it, or write ${" + e.name + ":-default}"
}

// Below reports whether path is at or inside of one.
func Below(path, one string) bool {
	rest, ok := strings.CutPrefix(path, one)
	return ok && (one == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// leave leaves a value out that this process need not know.
func (l *Loader) leave(f *Fault) {
	l.bad[f.Path] = true
	l.Missing = append(l.Missing, f)
}

// incomplete reports whether a value inside of path was left out: then the checks
// of what stands there would complain of what is not so.
func (l *Loader) incomplete(path string) bool {
	return slices.ContainsFunc(l.Missing, func(f *Fault) bool { return Below(f.Path, path) })
}
