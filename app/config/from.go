package config

import "time"

// Places where a new destination begins.
const (
	FromOldest = "oldest"
	FromNow    = "now"
)

// checkFrom checks where the destination begins.
func (d *Destination) checkFrom(f *faultList) {
	switch d.From {
	case "", FromOldest, FromNow:
		return
	}
	switch at, err := time.Parse(time.RFC3339, d.From); {
	case err != nil:
		f.addf("from: %q is not oldest, now or a time; write a time as 2026-11-25T10:00:00Z", d.From)
	case at.After(time.Now()):
		f.addf("from: %s is still to come; write now, or a time that has passed", d.From)
	}
}

// Begins is where a new destination begins: with the oldest event, with the next
// one, or with those that were accepted since a time.
func (d *Destination) Begins() (oldest bool, since time.Time) {
	if d.From == FromOldest || d.From == "" {
		return true, time.Time{}
	}
	at, _ := time.Parse(time.RFC3339, d.From) // it was checked; the zero time is now
	return false, at
}
