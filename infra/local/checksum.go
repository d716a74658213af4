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

// checkedFS finds damaged blocks of tables before Pebble does: blocks behind the end of the
// file, which are no damage for Pebble, and large blocks with a wrong checksum. In a
// damaged block Pebble searches the flipped bit. For that it computes the checksum up to
// 327,680 times at every read, which takes 17 s of CPU for a record of 0.9 MB.
type checkedFS struct{ vfs.FS }

// checkedBytes is the largest block that Pebble checks, in some 10 ms. Every longer read of
// a table is a whole block.
const checkedBytes = 4 << 10

// diskFS is the file system of the machine, for a broker.dir.
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
	case errors.Is(err, io.EOF): // the file is shorter than the block, which is no damage for Pebble
		err = &blockError{at, len(b), "the file ends before it does"}
	case err == nil && len(b) > checkedBytes+block.TrailerLen && !blockIntact(b):
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
