package config

import (
	"regexp"
	"slices"

	"eventserver/app/config/strict"
	"eventserver/app/textfile"
)

var index = regexp.MustCompile(`\[[0-9]+\]`)

// Need is the error of values that Checks.Partly left out, at the keys that
// paths name or below these: "broker", "destinations[].id". Without paths it is
// about every key.
func (c *Config) Need(paths ...string) error {
	var missing []*strict.Fault
	for _, f := range c.missing {
		at := index.ReplaceAllString(f.Path, "[]")
		if len(paths) == 0 || slices.ContainsFunc(paths, func(p string) bool { return strict.Below(at, p) }) {
			missing = append(missing, f)
		}
	}
	return textfile.NewFaults(missing...)
}

// Missing is the error of the values of the kind's keys that were left out.
func (s *Settings) Missing() error { return textfile.NewFaults(s.missing...) }
