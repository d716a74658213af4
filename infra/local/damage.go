package local

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"eventserver/infra"
)

// damages reports damage that is found while the log runs, once for each place.
type damages struct {
	log *Log

	mu       sync.Mutex
	reported map[string]struct{}
}

func (d *damages) init(l *Log) {
	d.log = l
	d.reported = map[string]struct{}{}
}

// file reports a damaged file. Its lost records are reported when they are read.
func (d *damages) file(path string, err error) {
	d.report(path, &infra.DamageError{File: path, Err: fmt.Errorf("broker.dir: %s is damaged: %w%s", path, err, d.log.dir.repairHint())})
}

// corruptFile is the file of one of Pebble's errors; "": the error does not say.
func corruptFile(err error) string {
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		return info.Path
	}
	return ""
}

// plain is an error without the details that Pebble adds for programs.
func plain(err error) error {
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		return info.Details
	}
	return err
}

// repairHint is the end of an error's text while the log runs.
func (d *directory) repairHint() string {
	if d == nil {
		return ""
	}
	return ": stop the server, then copy what can be read to a new directory with: eventserver repair " + d.path
}

// records reports unreadable records.
func (d *damages) records(e *infra.DamageError) {
	d.report(fmt.Sprintf("%s/%d/%d", e.Topic, e.Partition, e.Offsets.From), e)
}

func (d *damages) report(place string, e *infra.DamageError) {
	if errors.Is(e, errMoved) { // the files are whole, and elsewhere
		return
	}
	d.mu.Lock()
	_, known := d.reported[place]
	d.reported[place] = struct{}{}
	d.mu.Unlock()
	if !known {
		d.log.cfg.Damaged(e)
	}
}

// verifyBytes is how much of the tables a start reads against their checksums. The rest is
// read in the background, which takes a verifyShare of the time.
const (
	verifyBytes = 32 << 20
	verifyShare = 5
)

// checker reads the rest of the tables after the start.
type checker struct {
	done chan struct{}
	end  chan struct{} // nil: nothing to do
}

func (c *checker) start(l *Log, tables []string) {
	if len(tables) == 0 {
		return
	}
	c.done, c.end = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(c.done)
		for _, name := range tables {
			path := l.dir.fs.PathJoin(l.dir.file(logName), name)
			start := time.Now()
			err := verifyTable(l.dir.fs, path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) { // a compaction has replaced it
				l.damages.file(path, err)
			}
			wait := time.NewTimer((verifyShare - 1) * time.Since(start))
			select {
			case <-wait.C:
			case <-c.end:
				wait.Stop()
				return
			}
		}
	}()
}

func (c *checker) stop() {
	if c.end == nil {
		return
	}
	close(c.end)
	<-c.done
}
