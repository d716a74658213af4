package pubsub

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"eventserver/infra"
)

// Config bounds the memory and the windows of subscribers. The zero value is ready to use.
type Config struct {
	// Memory is the maximum memory, in bytes, of the unfinished messages of all
	// subscribers. The largest holders stop reading first. Default 128 MiB.
	Memory int64
	// WindowMessages is the maximum number of unacked messages of a partition. Beyond it
	// no more is read. Default 1,000.
	WindowMessages int
	// WindowKey is the maximum number of unacked messages of a key, so that one key
	// cannot fill the window. Later ones are deferred. Default: a sixteenth of
	// WindowMessages.
	WindowKey int
	// WindowSpan is the maximum distance, in offsets, from the oldest unacked message to
	// the last one read. Default 1,000,000.
	WindowSpan int
	// PartitionOrder allows one message of a partition in flight, whatever the window is.
	PartitionOrder bool

	NackDelay      time.Duration // pause before a nacked message is handed out again; default 100 ms
	ReleaseTimeout time.Duration // maximum wait for handlers when a partition is given up; default 20 s
	// TrimAge is how long a record stays after every group has done it. Zero: nothing is
	// trimmed.
	TrimAge time.Duration

	Logger       *slog.Logger // default: discard
	liveBytes    int          // see live.go
	skipInterval time.Duration

	// Damaged is called for unreadable records that a group does not get. By default they
	// are only logged.
	Damaged func(group string, d *infra.DamageError)
}

func (c Config) withDefaults() (Config, error) {
	var errs []error
	for name, v := range map[string]int64{
		"WindowMessages": int64(c.WindowMessages), "Memory": c.Memory, "WindowKey": int64(c.WindowKey), "WindowSpan": int64(c.WindowSpan),
		"NackDelay": int64(c.NackDelay), "ReleaseTimeout": int64(c.ReleaseTimeout), "TrimAge": int64(c.TrimAge),
	} {
		if v < 0 {
			errs = append(errs, fmt.Errorf("%s is negative", name))
		}
	}
	if c.PartitionOrder {
		c.WindowMessages, c.WindowKey = 1, 1
	}
	def(&c.WindowMessages, 1000)
	def(&c.Memory, 128<<20)
	def(&c.WindowKey, max(1, c.WindowMessages/16))
	def(&c.WindowSpan, 1_000_000)
	def(&c.NackDelay, 100*time.Millisecond)
	def(&c.ReleaseTimeout, 20*time.Second)
	def(&c.liveBytes, liveBytes)
	def(&c.skipInterval, skipInterval)
	if c.TrimAge > 0 { // skipped records hold up the trimming until their progress is kept
		c.skipInterval = min(c.skipInterval, max(c.TrimAge/checksPerAge, keepInterval))
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Damaged == nil {
		c.Damaged = func(string, *infra.DamageError) {}
	}
	return c, errors.Join(errs...)
}

func def[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}
