package local

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// salvageLog reads everything readable of a write-ahead log. Pebble's own reader stops at
// the first damage. A log consists of chunks, each with a checksum. A batch is a full
// chunk, or a first one, middle ones and a last one (pebble/record). salvageLog skips
// damage byte by byte until it finds a whole chunk anywhere, since bytes may have been cut
// out. It reports whether anything was damaged. The end of a log after a kill is no damage.
func salvageLog(fsys vfs.FS, path string, number uint64, batch func([]byte)) error {
	text, err := readFile(fsys, path)
	if err != nil {
		return err
	}
	var parts []byte
	inside := false // parts is the beginning of a batch
	bad, lost := 0, 0
	for at := 0; at+recycleHead <= len(text); {
		c, ok := chunkAt(text, at, uint32(number))
		if !ok {
			n, toEnd := zeros(text, at)
			if !toEnd {
				n = max(n-legacyHead, 1) // a chunk may begin with zeros
				bad += n
			}
			at += n
			continue
		}
		if bad > 0 {
			lost += bad // whole chunks are behind it
			bad, inside = 0, false
		}
		at += c.length
		switch c.kind {
		case chunkFull:
			batch(c.payload)
			inside = false
		case chunkFirst:
			parts, inside = append(parts[:0], c.payload...), true
		case chunkMiddle, chunkLast:
			if !inside {
				lost += c.length // its beginning is lost
				continue
			}
			parts = append(parts, c.payload...)
			if c.kind == chunkLast {
				batch(parts)
				inside = false
			}
		}
	}
	if lost > 0 {
		return fmt.Errorf("about %d bytes in it cannot be read", lost)
	}
	return nil
}

// chunk is a part of a batch.
type chunk struct {
	kind    byte
	length  int // with the head
	payload []byte
}

const (
	chunkFull, chunkFirst, chunkMiddle, chunkLast = 0, 1, 2, 3

	legacyHead  = 4 + 2 + 1       // checksum, length, kind
	recycleHead = legacyHead + 4  // number of the log
	syncHead    = recycleHead + 8 // how far the log was synced
	logBlock    = 32 << 10        // chunks do not cross its borders
	maxPayload  = logBlock - recycleHead
)

// chunkAt is the chunk that begins at text[at], if one does.
func chunkAt(text []byte, at int, number uint32) (c chunk, ok bool) {
	b := text[at:]
	kind := b[6] - 1
	if kind >= 12 {
		return c, false
	}
	head := [...]int{legacyHead, recycleHead, syncHead}[kind/4]
	length := int(binary.LittleEndian.Uint16(b[4:]))
	if length > maxPayload || head+length > len(b) || head == legacyHead {
		return c, false
	}
	if binary.LittleEndian.Uint32(b[7:]) != number {
		return c, false // of an older log in a reused file
	}
	if binary.LittleEndian.Uint32(b) != storedChecksum(b[6:head+length]) {
		return c, false
	}
	return chunk{kind % 4, head + length, b[head : head+length]}, true
}

// storedChecksum is how Pebble stores a CRC-32C.
func storedChecksum(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return c>>15 | c<<17 + 0xa282ead8
}

// zeros counts the zero bytes from text[at] on, up to the end of the block.
func zeros(text []byte, at int) (n int, toEnd bool) {
	end := min(at-at%logBlock+logBlock, len(text))
	i := at
	for i < end && text[i] == 0 {
		i++
	}
	return i - at, i == end
}
