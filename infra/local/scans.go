package local

import "context"

// mostScans is how many may read Pebble at once. Who reads holds a block of each table
// of level 0 that it looks into, which has a whole record: with records of 0.9 MB, 24
// at once held 180 MiB. They read what the system has in memory, and wait for little.
const mostScans = 4

// scans has a token for each that reads.
type scans chan struct{}

func newScans() scans { return make(scans, mostScans) }

func (s scans) enter(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s scans) leave() { <-s }
