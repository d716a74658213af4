package local

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// checkedFS finds what is damaged in tables before Pebble does: a block that the file
// does not have any more, which Pebble takes for no damage, and a large one whose
// checksum does not hold. Pebble looks in a damaged block for the bit that was
// flipped: it computes the checksum up to 327,680 times at every read, which takes
// 17 s of CPU for a record of 0.9 MB.
type checkedFS struct{ vfs.FS }

// checkedBytes is the longest block that is left to Pebble: it takes some 10 ms.
// Whatever is read at a place of a table and is longer is a whole block.
const checkedBytes = 4 << 10

// diskFS is the machine's file system, for a broker.dir.
func diskFS() vfs.FS { return checkedFS{privateFS{vfs.Default}} }

// Unwrap implements vfs.FS.
func (c checkedFS) Unwrap() vfs.FS { return c.FS }

// Open implements vfs.FS.
func (c checkedFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := c.FS.Open(name, opts...)
	if err != nil || !strings.HasSuffix(name, ".sst") {
		return f, err
	}
	return checkedFile{f}, nil
}

type checkedFile struct{ vfs.File }

// ReadAt implements vfs.File.
func (c checkedFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := c.File.ReadAt(b, at)
	switch {
	case errors.Is(err, io.EOF): // Pebble reads what the table has; it takes this for no damage
		err = &blockError{at, len(b), "the file ends before it does"}
	case err == nil && len(b) > checkedBytes+block.TrailerLen && !wholeBlock(b):
		err = &blockError{at, len(b) - block.TrailerLen, "checksum mismatch"}
	}
	return n, err
}

// blockError is a damaged block.
type blockError struct {
	at     int64
	length int
	what   string
}

func (e *blockError) Error() string {
	return fmt.Sprintf("block %d/%d: %s", e.at, e.length, e.what)
}

func (*blockError) Unwrap() error { return pebble.ErrCorruption }
