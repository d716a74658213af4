package config

import (
	"regexp"
	"slices"
	"strings"

	"eventserver/app/textfile"
)

// unsetError is the error of a variable that is not set.
type unsetError struct{ name string }

// Error implements error.
func (e *unsetError) Error() string {
	return "environment variable " + e.name + " is not set; set it, or write ${" + e.name + ":-default}"
}

var index = regexp.MustCompile(`\[[0-9]+\]`)

// Need is the error of values that Checks.Partly left out, at the keys that
// paths name or below these: "broker", "destinations[].id". Without paths it is
// about every key.
func (c *Config) Need(paths ...string) error {
	var missing []*Fault
	for _, f := range c.missing {
		at := index.ReplaceAllString(f.Path, "[]")
		if len(paths) == 0 || slices.ContainsFunc(paths, func(p string) bool { return below(at, p) }) {
			missing = append(missing, f)
		}
	}
	return textfile.NewFaults(missing...)
}

// below reports whether path is at or inside of one.
func below(path, one string) bool {
	rest, ok := strings.CutPrefix(path, one)
	return ok && (one == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// leave leaves a value out that this process need not know.
func (l *loader) leave(f *Fault) {
	l.bad[f.Path] = true
	l.missing = append(l.missing, f)
}

// incomplete reports whether a value inside of path was left out: then the checks
// of what stands there would complain of what is not so.
func (l *loader) incomplete(path string) bool {
	return slices.ContainsFunc(l.missing, func(f *Fault) bool { return below(f.Path, path) })
}

// Missing is the error of the values of the kind's keys that were left out.
func (s *Settings) Missing() error { return textfile.NewFaults(s.missing...) }
