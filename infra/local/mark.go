package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// markFile has the number of the last written batch. For Pebble, a cut write-ahead log or a
// missing newest file is the trace of a crash, and it continues with the rest. The mark
// distinguishes loss from a crash. It is written without a sync after a batch is synced. So
// a crash of the machine may leave an older mark, never a newer one, and a kill leaves the
// newest.
//
// The file has two slots that are written in turn, so that one of them is always whole.
// A slot: magic (4), version (1), flags (1), zero (2),
// sequence (8), records (8), CRC-32C of these (4).
type markFile struct {
	f    vfs.File
	next int // the slot to write
	buf  [slotLen]byte
}

// position is the content of a slot.
type position struct {
	sequence uint64 // of the newest batch
	records  uint64 // the sum of the ends of all partitions
	unsynced bool   // broker.sync is false: a crash of the machine may lose batches that the mark counts
}

const (
	slotLen     = 4 + 1 + 1 + 2 + 8 + 8 + 4
	slotSpace   = 4096 // a slot in a page of its own: a torn write spoils one
	markMagic   = "ESmk"
	markVersion = 1

	flagUnsynced = 1
)

// errNoMark is the error of a missing mark, or of one without a whole slot.
var errNoMark = errors.New("it does not say how far the log was written")

func (p position) encode(b []byte) {
	clear(b)
	copy(b, markMagic)
	b[4] = markVersion
	if p.unsynced {
		b[5] = flagUnsynced
	}
	binary.BigEndian.PutUint64(b[8:], p.sequence)
	binary.BigEndian.PutUint64(b[16:], p.records)
	binary.BigEndian.PutUint32(b[24:], crc32.Checksum(b[:24], castagnoli))
}

func decodeSlot(b []byte) (p position, ok bool) {
	if string(b[:4]) != markMagic || b[4] != markVersion || binary.BigEndian.Uint32(b[24:]) != crc32.Checksum(b[:24], castagnoli) {
		return p, false
	}
	return position{
		sequence: binary.BigEndian.Uint64(b[8:]),
		records:  binary.BigEndian.Uint64(b[16:]),
		unsynced: b[5]&flagUnsynced != 0,
	}, true
}

// readMark is the newest position in the file, and its slot.
func readMark(fsys vfs.FS, path string) (p position, slot int, err error) {
	f, err := fsys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, 0, fmt.Errorf("%w: %w", errNoMark, err)
	}
	if err != nil {
		return p, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	found := false
	for i := range 2 {
		b := make([]byte, slotLen)
		if _, err := f.ReadAt(b, int64(i)*slotSpace); err != nil && !errors.Is(err, io.EOF) {
			return p, 0, err
		}
		if q, ok := decodeSlot(b); ok && (!found || q.sequence >= p.sequence) {
			p, slot, found = q, i, true
		}
	}
	if !found {
		return p, 0, errNoMark
	}
	return p, slot, nil
}

// createMark makes the file, with both slots, synced; its directory is not.
func createMark(fsys vfs.FS, path string, p position) error {
	f, err := fsys.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	b := make([]byte, 2*slotSpace) // written whole now: later writes need no room on the disk
	p.encode(b[:slotLen])
	p.encode(b[slotSpace:][:slotLen])
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// openMark opens the file for writing. p is the present position of the log. If it is
// behind the mark, which only an unsynced mark allows, both slots are written again.
func openMark(fsys vfs.FS, path string, p position) (*markFile, error) {
	last, slot, err := readMark(fsys, path)
	if err == nil && last.sequence > p.sequence {
		err = createMark(fsys, path, p)
	}
	if err != nil {
		return nil, err
	}
	f, err := fsys.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	m := &markFile{f: f, next: 1 - slot}
	if err := m.write(p); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return m, nil
}

// write records that the log is written up to p. It does not sync.
func (m *markFile) write(p position) error {
	p.encode(m.buf[:])
	if _, err := m.f.WriteAt(m.buf[:], int64(m.next)*slotSpace); err != nil {
		return fmt.Errorf("write the mark: %w", err)
	}
	m.next = 1 - m.next
	return nil
}

// close syncs the file.
func (m *markFile) close() error { return errors.Join(m.f.Sync(), m.f.Close()) }
