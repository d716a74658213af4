package local

import "context"

// maxScans is the maximum number of readers of Pebble at once. A reader holds a block of
// each table of level 0 that it reads, and a block has a whole record: with records of
// 0.9 MB, 24 readers held 180 MiB. Readers find most data in the system's memory, so they
// wait little.
const maxScans = 4

// scans has a token for each reader.
type scans chan struct{}

func newScans() scans { return make(scans, maxScans) }

func (s scans) enter(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s scans) leave() { <-s }
